"""Commands that take histories in from other systems."""
