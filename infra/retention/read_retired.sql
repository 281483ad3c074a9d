-- The jobs found, in the order in which they were last heard of.
SELECT name, version, last_position FROM retired ORDER BY last_position
