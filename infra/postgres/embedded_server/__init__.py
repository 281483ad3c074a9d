"""The embedded PostgreSQL server: how it is started, joined, inspected and stopped."""
