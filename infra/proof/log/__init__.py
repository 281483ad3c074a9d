"""The Merkle tree over all events: its leaves, its growth, its roots."""
