-- How many jobs went from which state to which between two positions, as the ledger knew them, and
-- the first of their names. Only jobs that entered a state in between can have. was and now are
-- rendered: whether the filter was true of a job, at the earlier moment and at the later one.
WITH touched AS MATERIALIZED (
    SELECT DISTINCT name FROM events
    WHERE position > %(from_position)s AND position <= %(to_position)s AND schema > 0
      AND state_number(type) IS NOT NULL
),
compared AS (
    SELECT j.name, earlier.state AS was, later.state AS now,
           coalesce(earlier.matches, false) OR coalesce(later.matches, false) AS matches
    FROM touched AS t JOIN jobs AS j ON j.name = t.name
    LEFT JOIN LATERAL (
        SELECT CASE WHEN delete_time IS NULL THEN state ELSE 'DELETED' END AS state, {was} AS matches
        FROM (SELECT j.name, j.project, j.kind, etag(j.name, at.version) AS etag, at.*
              FROM job_row_at(j.name, %(from_position)s) AS at) AS jobs
    ) AS earlier ON true
    LEFT JOIN LATERAL (
        SELECT CASE WHEN delete_time IS NULL THEN state ELSE 'DELETED' END AS state, {now} AS matches
        FROM (SELECT j.name, j.project, j.kind, etag(j.name, at.version) AS etag, at.*
              FROM job_row_at(j.name, %(to_position)s) AS at) AS jobs
    ) AS later ON true
)
SELECT was, now, count(*), (array_agg(name ORDER BY name))[:least(%(limit)s, 2147483647)]
FROM compared
WHERE matches AND was IS DISTINCT FROM now AND now IS NOT NULL
GROUP BY was, now
ORDER BY count(*) DESC, was, now
