-- The rows of jobs with these names; OFFSET 0 keeps them from being read in another order.
(SELECT * FROM jobs WHERE name = ANY ({names}) OFFSET 0) AS jobs
