-- How long jobs stayed in a phase, by when they left it for other states; `phase_from`
-- is kept with each interval. group and of_jobs are rendered.
SELECT date_bin(%(bucket)s, i.occurred_from, %(origin)s) AS time, {group} AS group_, count(*),
       percentile_cont(ARRAY[0.5, 0.9, 0.99]) WITHIN GROUP (ORDER BY date_part('epoch', i.occurred_from - i.phase_from))
FROM intervals AS i {of_jobs}
WHERE i.occurred_state = ANY (%(into)s::smallint[]) AND i.occurred_before = ANY (%(within)s::smallint[])
  AND i.occurred_from >= %(begin)s AND i.occurred_from < %(end)s
GROUP BY 1, 2
ORDER BY 1, 2
