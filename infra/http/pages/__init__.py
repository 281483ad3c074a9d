"""The routes of the web pages."""
