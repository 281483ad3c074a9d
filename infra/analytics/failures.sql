-- The error messages that jobs failed or expired with, the most frequent first, each with its
-- latest job. group and of_jobs are rendered.
SELECT {group} AS group_, state_name(i.occurred_state) AS state, failure.message, count(*),
       max(i.occurred_from), (array_agg(e.name ORDER BY i.occurred_from DESC, e.name))[1]
FROM intervals AS i JOIN events AS e ON e.position = i.position {of_jobs},
LATERAL (
    SELECT coalesce(CASE e.type WHEN 'Failed' THEN read_json(e.data) -> 'error' ->> 'message'
                                ELSE read_json(e.data) ->> 'reason' END, '') AS message
) AS failure
WHERE i.occurred_from >= %(begin)s AND i.occurred_from < %(end)s AND i.occurred_state = ANY (%(unsuccessful)s::smallint[])
GROUP BY 1, 2, 3
ORDER BY 4 DESC, 5 DESC, 1, 2, 3
LIMIT %(top)s
