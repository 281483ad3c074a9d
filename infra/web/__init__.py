"""The pages: their data, templates, scripts and styles."""
