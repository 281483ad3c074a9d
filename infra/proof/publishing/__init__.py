"""Checkpoints made in the background, cosigned, and published outside the database."""
