"""Follows other systems' PostgreSQL databases by logical replication, without changes to these systems."""
