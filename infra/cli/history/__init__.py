"""Commands about the history of jobs."""
