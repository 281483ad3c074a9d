"""What rows are derived from events, and how: one folder a projection, SQL beside the Python that names it."""
