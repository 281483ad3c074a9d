-- The jobs found, in the order of their last events.
SELECT name, version, last_position FROM retired ORDER BY last_position
