-- Deletes some jobs from the late ones.
DELETE FROM late_jobs WHERE name = ANY (%(names)s)
