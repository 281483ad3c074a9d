"""Personal values, encrypted under a key of their subject; destroying the key makes them unreadable."""
