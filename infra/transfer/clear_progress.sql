-- Forgets how far a file had come, as it has come further.
DELETE FROM imports WHERE project = %s AND kind = %s AND digest = %s
