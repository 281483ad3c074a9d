-- Whether there is a job, deleted or not.
SELECT FROM jobs WHERE name = %s
