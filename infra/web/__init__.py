"""What people see in a browser: the data of pages, their templates, scripts and styles."""
