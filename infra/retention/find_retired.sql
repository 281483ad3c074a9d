-- Jobs that have ended or were deleted, with nothing recorded since a time or not in the log's tree yet:
-- in a table of this session.
CREATE TEMP TABLE retired ON COMMIT PRESERVE ROWS AS
SELECT name, version, last_position
FROM jobs, log
WHERE (delete_time IS NOT NULL OR state = ANY (%(ended)s))
  AND last_position <= least(log.size, %(position)s)
