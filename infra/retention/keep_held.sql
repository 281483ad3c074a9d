-- Leaves out jobs that are held or pinned, of those that were found; their names.
DELETE FROM retired WHERE name = ANY (%s) RETURNING name
