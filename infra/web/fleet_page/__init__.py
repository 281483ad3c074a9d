"""The page of all jobs: its chart, its list, its search box."""
