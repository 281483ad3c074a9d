-- Jobs that have ended or were deleted and match a condition, with nothing recorded since a time or not in the
-- log's tree yet: in a table of this session.
CREATE TEMP TABLE prunable ON COMMIT PRESERVE ROWS AS
SELECT name, version, last_position
FROM jobs
WHERE {condition} AND (delete_time IS NOT NULL OR state = ANY (%(ended)s))
  AND last_position <= least((SELECT size FROM log), %(position)s)
