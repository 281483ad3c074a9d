"""Programs that run as jobs: their reports, what is kept of them on disk, and their heartbeats."""
