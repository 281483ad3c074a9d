"""The base of all servers: logs, listening and shutdown, callers, limits."""
