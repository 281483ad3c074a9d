-- Counts the jobs found, for the plans of what reads them.
ANALYZE prunable
