"""The page of one job: its states over time, and its history."""
