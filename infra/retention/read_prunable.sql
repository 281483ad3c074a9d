-- The jobs found, in the order of their last events.
SELECT name, version, last_position FROM prunable ORDER BY last_position
