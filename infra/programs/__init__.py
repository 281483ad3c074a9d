"""Programs that run as jobs: their reports, their spool on disk, and their heartbeats."""
