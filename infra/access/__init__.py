"""Access control: roles, and bearer tokens that carry them."""
