-- Leaves out jobs that are held or pinned, of those that were found; their names.
DELETE FROM prunable WHERE name = ANY (%s) RETURNING name
