"""Commands that record jobs of other systems."""
