"""Other systems' PostgreSQL databases, followed by logical replication; they need no change of their own."""
