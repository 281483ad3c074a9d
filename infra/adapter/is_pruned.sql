-- Whether an event that is missing was pruned, or the server is a standby, which may not have it yet.
SELECT pg_is_in_recovery() OR EXISTS (SELECT FROM pruned WHERE %(position)s BETWEEN first AND last) AS is_pruned
