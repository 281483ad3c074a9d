"""What is measured: a function for each row, which makes what it needs and yields its two sides."""
