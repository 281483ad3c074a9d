"""How many jobs were in each state over time, and when that changed."""
