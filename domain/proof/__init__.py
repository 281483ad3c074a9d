"""Proof: the leaves that events make, and the Merkle tree over them (RFC 6962)."""
