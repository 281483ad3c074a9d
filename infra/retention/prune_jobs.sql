-- Takes the rows of some jobs away.
DELETE FROM jobs WHERE name = ANY (%(names)s)
