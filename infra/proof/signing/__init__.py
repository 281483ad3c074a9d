"""Checkpoints: the signed-note format, keys, the policy of witnesses, and the signer."""
