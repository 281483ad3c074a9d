-- A job's events without their data but how many attempts each begins, as far as was known at a position, in the order of their versions.
SELECT version, position, type, occurred_time, recorded_time, actor,
       attempts_begun(type, schema, data),
       CASE WHEN is_placed(schema) THEN placed_after(version, schema, data) END
FROM events
WHERE name = %(name)s AND position <= %(until)s AND schema > 0
ORDER BY version
