-- Jobs that ended, by how, in stretches of time. group and of_jobs are rendered.
SELECT date_bin(%(bucket)s, i.occurred_from, %(origin)s) AS time, {group} AS group_, count(*),
       count(*) FILTER (WHERE i.occurred_state = 4), count(*) FILTER (WHERE i.occurred_state = 11),
       count(*) FILTER (WHERE i.occurred_state = 5), count(*) FILTER (WHERE i.occurred_state = 7),
       count(*) FILTER (WHERE i.occurred_state = 9)
FROM intervals AS i {of_jobs}
WHERE i.occurred_from >= %(begin)s AND i.occurred_from < %(end)s AND i.occurred_state IN (4, 5, 7, 9, 11)
GROUP BY 1, 2
ORDER BY 1, 2
