-- How many jobs went from which state to which between two valid times, as far as was
-- known at a position each, and the first of their names. Only jobs that entered a state in between,
-- or of which that became known in between, can have. was and now are rendered: whether the filter
-- was true of a job, at the earlier moment and at the later one.
WITH touched AS MATERIALIZED (
    SELECT e.name
    FROM intervals AS i JOIN events AS e ON e.position = i.position
    WHERE i.occurred_from > %(from_time)s AND i.occurred_from <= %(to_time)s
      AND i.position <= %(to_position)s
    UNION
    SELECT e.name FROM events AS e
    WHERE e.position > %(from_position)s AND e.position <= %(to_position)s AND e.schema > 0
      AND least(e.occurred_time, e.recorded_time) <= %(from_time)s AND state_number(e.type) IS NOT NULL
),
compared AS (
    SELECT j.name, earlier.state AS was, later.state AS now,
           coalesce(earlier.matches, false) OR coalesce(later.matches, false) AS matches
    FROM touched AS t JOIN jobs AS j ON j.name = t.name
    LEFT JOIN LATERAL (
        SELECT CASE WHEN delete_time IS NULL THEN state ELSE 'DELETED' END AS state, {was} AS matches
        FROM (SELECT j.name, j.project, j.kind, etag(j.name, at.version) AS etag, at.*
              FROM job_row_as_it_happened(j.name, %(from_position)s, %(from_time)s) AS at) AS jobs
    ) AS earlier ON true
    LEFT JOIN LATERAL (
        SELECT CASE WHEN delete_time IS NULL THEN state ELSE 'DELETED' END AS state, {now} AS matches
        FROM (SELECT j.name, j.project, j.kind, etag(j.name, at.version) AS etag, at.*
              FROM job_row_as_it_happened(j.name, %(to_position)s, %(to_time)s) AS at) AS jobs
    ) AS later ON true
)
SELECT was, now, count(*), (array_agg(name ORDER BY name))[:least(%(limit)s, 2147483647)]
FROM compared
WHERE matches AND was IS DISTINCT FROM now AND now IS NOT NULL
GROUP BY was, now
ORDER BY count(*) DESC, was, now
