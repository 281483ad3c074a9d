-- Forgets of some jobs that they are late.
DELETE FROM late_jobs WHERE name = ANY (%(names)s)
