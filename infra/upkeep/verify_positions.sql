-- Where positions have gaps that are not pruned, recorded times run backwards, or the head is wrong; null-free findings.
WITH ordered AS (
    SELECT position, name, recorded_time,
           lag(position, 1, 0::bigint) OVER (ORDER BY position) AS position_before,
           lag(recorded_time) OVER (ORDER BY position) AS time_before
    FROM events
)
SELECT 'gap', position, name, format('position %s follows position %s', position, position_before)
FROM ordered WHERE position <> position_before + 1 AND position - position_before - 1 <> (
    SELECT coalesce(sum(p.last - p.first + 1), 0) FROM pruned AS p
    WHERE p.first > position_before AND p.first < position AND p.last < position
)
UNION ALL
SELECT 'clock', position, name, format('recorded at %s, after one at %s', recorded_time, time_before)
FROM ordered WHERE recorded_time < time_before
UNION ALL
SELECT 'gap', size, '', format('the head is at %s and the last event at %s', size, coalesce(last, 0))
FROM head, (SELECT max(position) AS last FROM events) AS log WHERE size <> coalesce(last, 0)
UNION ALL
SELECT 'gap', min(position), name,
       format('versions %s to %s of another aggregate, and %s events', min(version), max(version), count(*))
FROM events WHERE schema = 0
GROUP BY name HAVING max(version) - min(version) + 1 <> count(*) OR min(version) > 1
UNION ALL
SELECT 'clock', 0, 'head', format('the ledger''s clock is at %s, before the last event, recorded at %s', h.recorded_time, max(e.recorded_time))
FROM head AS h, events AS e GROUP BY h.recorded_time HAVING h.recorded_time < max(e.recorded_time)
UNION ALL
SELECT 'differs', 0, 'projections', format('%s has followed to %s, and the ledger has %s events', p.name, p.position, h.size)
FROM projections AS p, head AS h WHERE p.position > h.size
UNION ALL
SELECT 'differs', 0, 'projections', 'it is not known how far intervals has followed'
WHERE NOT EXISTS (SELECT FROM projections WHERE name = 'intervals' AND position >= 0)
UNION ALL
SELECT 'missing', 0, 'head', 'there is no row, and no event can be written'
WHERE NOT EXISTS (SELECT FROM head)
