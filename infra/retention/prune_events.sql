-- Deletes the events of some jobs, whose positions must be recorded as pruned.
DELETE FROM events WHERE name = ANY (%(names)s)
