-- How far files of one kind were imported into a project: rows, and a digest of these.
SELECT rows, digest FROM imports WHERE project = %s AND kind = %s
