"""What all servers share: the log, listening and shutdown, callers, limits."""
