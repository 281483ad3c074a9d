-- Deletes the former progress of a file's import.
DELETE FROM imports WHERE project = %s AND kind = %s AND digest = %s
