-- Deletes the rows of some jobs.
DELETE FROM jobs WHERE name = ANY (%(names)s)
