-- A job's events without their data, as far as was known at a position, in the order of their versions.
SELECT version, position, type, occurred_time, recorded_time, actor
FROM events
WHERE name = %(name)s AND position <= %(until)s AND schema > 0
ORDER BY version
