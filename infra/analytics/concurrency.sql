-- How many jobs were in some states at times one bucket apart: the sum of all that entered and left
-- until then. group and of_jobs are rendered.
WITH changes AS (
    SELECT greatest(%(first)s, floor.time + CASE WHEN floor.time < i.occurred_from THEN %(bucket)s ELSE interval '0' END) AS time,
           {group} AS group_, sum(change.change) AS change
    FROM intervals AS i {of_jobs},
         LATERAL (SELECT date_bin(%(bucket)s, i.occurred_from, %(first)s) AS time) AS floor,
         LATERAL (VALUES (i.occurred_state, 1), (i.occurred_before, -1)) AS change (state, change)
    WHERE i.occurred_from <= %(last)s AND change.state = ANY (%(states)s::smallint[])
    GROUP BY 1, 2
)
SELECT instant.time, groups.group_,
       coalesce(sum(changes.change) OVER (PARTITION BY groups.group_ ORDER BY instant.time), 0)::bigint
FROM generate_series(%(first)s, %(last)s, %(bucket)s) AS instant (time)
     CROSS JOIN (SELECT DISTINCT group_ FROM changes) AS groups
     LEFT JOIN changes ON changes.time = instant.time AND changes.group_ IS NOT DISTINCT FROM groups.group_
ORDER BY 1, 2
