"""The rows: a function for each, which prepares the row and yields its two sides."""
