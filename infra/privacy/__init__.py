"""Personal values: encrypted under a key of their subject, and unreadable once the key is destroyed."""
