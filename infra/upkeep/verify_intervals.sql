-- Where intervals are not what the events they have followed make them; null-free findings.
WITH timed AS (
    SELECT e.position, e.name, e.version, e.schema, e.type, e.occurred_time, state_number(e.type) AS state,
           least(placed_after(e.version, e.schema, e.data), e.version) AS place,
           CASE WHEN is_placed(e.schema) THEN e.occurred_time ELSE greatest(
               least(e.occurred_time, e.recorded_time), max(least(e.occurred_time, e.recorded_time)) FILTER (WHERE e.type <> 'Contradicted' OR e.version = 1) OVER versions
           ) END AS effective
    FROM events AS e, projections AS p
    WHERE p.name = 'intervals' AND e.position <= p.position AND e.schema > 0
    WINDOW versions AS (PARTITION BY e.name ORDER BY e.version)
),
entered AS (SELECT * FROM timed WHERE state IS NOT NULL),
latest AS (
    SELECT DISTINCT ON (e.position) e.position, k.state
    FROM entered AS e JOIN entered AS k ON k.name = e.name AND k.version <= e.version
    WHERE is_placed(e.schema)
    ORDER BY e.position, k.effective DESC, k.place DESC, k.version DESC
),
states AS (
    SELECT e.position, e.name, e.version, e.effective, e.place,
           -- Deleted is 0, the least, and a job stays deleted.
           CASE WHEN min(e.state) OVER (recorded ROWS UNBOUNDED PRECEDING) = 0 THEN 0 ELSE coalesce(l.state, e.state) END AS state,
           CASE WHEN min(e.state) OVER (occurred ROWS UNBOUNDED PRECEDING) = 0 THEN 0 ELSE e.state END AS occurred_state
    FROM entered AS e LEFT JOIN latest AS l ON l.position = e.position
    WINDOW recorded AS (PARTITION BY e.name ORDER BY e.version),
           occurred AS (PARTITION BY e.name ORDER BY e.effective, e.place, e.version)
),
expected AS (
    SELECT position, name, version, place, effective AS occurred_from, state,
           lag(state) OVER (PARTITION BY name ORDER BY version) AS state_before, occurred_state,
           lag(occurred_state) OVER (PARTITION BY name ORDER BY effective, place, version) AS occurred_before
    FROM states
),
phased AS (
    SELECT e.*, CASE WHEN phase(e.occurred_before::smallint) IS NOT NULL THEN
        max(e.occurred_from) FILTER (WHERE phase(e.occurred_state::smallint) IS DISTINCT FROM phase(e.occurred_before::smallint))
        OVER (PARTITION BY e.name ORDER BY e.occurred_from, e.place, e.version ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
    END AS phase_from
    FROM expected AS e
)
SELECT 'differs', coalesce(e.position, i.position), coalesce(e.name, ''),
       'its interval is not what the events make it'
FROM phased AS e FULL JOIN intervals AS i ON i.position = e.position
WHERE (e.position, e.occurred_from, e.state, e.state_before, e.occurred_state, e.occurred_before, e.phase_from)
      IS DISTINCT FROM
      (i.position, i.occurred_from, i.state, i.state_before, i.occurred_state, i.occurred_before, i.phase_from)
UNION ALL
SELECT 'differs', 0, '', format('the count of changes to state %s in stretch %s of level %s, clock %s is not what intervals make it',
       coalesce(e.state, c.state), coalesce(e.stretch, c.stretch), coalesce(e.level, c.level), coalesce(e.clock, c.clock))
FROM (
    SELECT clock, level, stretch >> 6 * (level - 1) AS stretch, state, sum(change) AS change
    FROM (
        SELECT p.clock, p.place >> 8 - 2 * (p.clock - 1) AS stretch, s.state, sum(s.change) AS change
        FROM intervals AS i, LATERAL (VALUES
            (1, i.position, i.state, i.state_before),
            (2, floor(extract(epoch FROM i.occurred_from))::bigint, i.occurred_state, i.occurred_before)
        ) AS p (clock, place, entered, was), LATERAL (VALUES (p.entered, 1), (p.was, -1)) AS s (state, change)
        WHERE s.state IS NOT NULL
        GROUP BY 1, 2, 3
    ) AS stretches, generate_series(1, 3) AS level
    GROUP BY 1, 2, 3, 4
) AS e FULL JOIN state_changes AS c USING (clock, level, stretch, state)
WHERE coalesce(e.change, 0) <> coalesce(c.change, 0)
UNION ALL
SELECT DISTINCT 'differs', 0, name, 'is late, and not known to be'
FROM timed
WHERE (effective <> occurred_time OR is_placed(schema) OR (version = 1 AND type <> 'Created'))
  AND name NOT IN (SELECT name FROM late_jobs)
