-- The position of a job's event: of a version, or of the last one.
SELECT position, version FROM events
WHERE name = %(name)s AND version <= coalesce(%(version)s::bigint, 9223372036854775807)
  AND (%(version)s::bigint IS NULL OR version = %(version)s::bigint)
ORDER BY version DESC LIMIT 1
