"""OpenLineage events (spec 2-0-2) as histories: a job for each job, an attempt for each run."""
