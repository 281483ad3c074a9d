-- Where an event of a job is: the version asked for, or the last one.
SELECT position, version FROM events
WHERE name = %(name)s AND version <= coalesce(%(version)s::integer, 2147483647)
  AND (%(version)s::integer IS NULL OR version = %(version)s::integer)
ORDER BY version DESC LIMIT 1
