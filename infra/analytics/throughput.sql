-- Jobs that ended, by state, in buckets of time. group and of_jobs are rendered.
SELECT date_bin(%(bucket)s, i.occurred_from, %(origin)s) AS time, {group} AS group_, count(*),
       count(*) FILTER (WHERE i.occurred_state = %(succeeded)s),
       count(*) FILTER (WHERE i.occurred_state = %(partiallySucceeded)s),
       count(*) FILTER (WHERE i.occurred_state = %(failed)s),
       count(*) FILTER (WHERE i.occurred_state = %(cancelled)s),
       count(*) FILTER (WHERE i.occurred_state = %(expired)s)
FROM intervals AS i {of_jobs}
WHERE i.occurred_from >= %(begin)s AND i.occurred_from < %(end)s AND i.occurred_state = ANY (%(ended)s::smallint[])
GROUP BY 1, 2
ORDER BY 1, 2
