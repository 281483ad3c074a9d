-- Where intervals are not what the events they have followed make them; null-free findings.
WITH entered AS (
    SELECT e.position, e.name, e.version, e.occurred_time, state_number(e.type) AS state
    FROM events AS e, projections AS p
    WHERE p.name = 'intervals' AND e.position <= p.position
      AND e.schema > 0 AND state_number(e.type) IS NOT NULL
),
states AS (
    SELECT position, name, version, occurred_time, lead(position) OVER recorded AS to_position,
           lead(occurred_time) OVER occurred AS occurred_to,
           -- Deleted is 0, the least, and a job stays deleted.
           CASE WHEN min(state) OVER (recorded ROWS UNBOUNDED PRECEDING) = 0 THEN 0 ELSE state END AS state,
           CASE WHEN min(state) OVER (occurred ROWS UNBOUNDED PRECEDING) = 0 THEN 0 ELSE state END AS occurred_state
    FROM entered
    WINDOW recorded AS (PARTITION BY name ORDER BY version),
           occurred AS (PARTITION BY name ORDER BY occurred_time, version)
),
expected AS (
    SELECT position, name, to_position, occurred_time AS occurred_from, occurred_to, state,
           lag(state) OVER (PARTITION BY name ORDER BY version) AS state_before, occurred_state,
           lag(occurred_state) OVER (PARTITION BY name ORDER BY occurred_time, version) AS occurred_before
    FROM states
),
phased AS (
    SELECT e.*, s.version, CASE WHEN phase(e.occurred_before::smallint) IS NOT NULL THEN
        max(e.occurred_from) FILTER (WHERE phase(e.occurred_state::smallint) IS DISTINCT FROM phase(e.occurred_before::smallint))
        OVER (PARTITION BY e.name ORDER BY e.occurred_from, s.version ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
    END AS phase_from
    FROM expected AS e JOIN states AS s ON s.position = e.position
)
SELECT 'differs', coalesce(e.position, i.position), coalesce(e.name, ''),
       'its interval is not what the events make it'
FROM phased AS e FULL JOIN intervals AS i ON i.position = e.position
WHERE (e.position, e.to_position, e.occurred_from, e.occurred_to, e.state, e.state_before, e.occurred_state, e.occurred_before, e.phase_from)
      IS DISTINCT FROM
      (i.position, i.to_position, i.occurred_from, i.occurred_to, i.state, i.state_before, i.occurred_state, i.occurred_before, i.phase_from)
UNION ALL
SELECT 'differs', 0, '', format('the count of changes to state %s in stretch %s of level %s, clock %s is not what intervals make it',
       coalesce(e.state, c.state), coalesce(e.stretch, c.stretch), coalesce(e.level, c.level), coalesce(e.clock, c.clock))
FROM (
    SELECT p.clock, l.level, p.place >> l.shift AS stretch, s.state, sum(s.change) AS change
    FROM intervals AS i, LATERAL (VALUES
        (1, i.position, i.state, i.state_before),
        (2, floor(extract(epoch FROM i.occurred_from))::bigint, i.occurred_state, i.occurred_before)
    ) AS p (clock, place, entered, was), LATERAL (VALUES (p.entered, 1), (p.was, -1)) AS s (state, change),
    LATERAL (VALUES (1, 8 - 2 * (p.clock - 1)), (2, 14 - 2 * (p.clock - 1)), (3, 20 - 2 * (p.clock - 1))) AS l (level, shift)
    WHERE s.state IS NOT NULL
    GROUP BY 1, 2, 3, 4
) AS e FULL JOIN state_changes AS c USING (clock, level, stretch, state)
WHERE coalesce(e.change, 0) <> coalesce(c.change, 0)
UNION ALL
SELECT 'differs', 0, name, 'is late, and not known to be'
FROM (
    SELECT e.name, e.version, e.type, e.occurred_time,
           lag(e.occurred_time) OVER (PARTITION BY e.name ORDER BY e.version) AS before
    FROM events AS e, projections AS p
    WHERE p.name = 'intervals' AND e.position <= p.position AND e.schema > 0
) AS e
WHERE (occurred_time < before OR (version = 1 AND type <> 'Created')) AND name NOT IN (SELECT name FROM late_jobs)
