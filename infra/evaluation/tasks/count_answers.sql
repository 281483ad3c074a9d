-- How many answers each run of a job has.
SELECT run, count(*) FROM answers WHERE job = %s GROUP BY run
