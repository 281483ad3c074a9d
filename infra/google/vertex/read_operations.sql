-- Events that may have begun operations of a location, newest first, without deleted operations.
-- `from` and `until` bound the names of its jobs; `job` selects one job, null all.
SELECT e.position, e.name, e.version, e.type, e.schema, e.occurred_time, e.recorded_time, e.actor, e.request_id,
       e.trace_parent, e.data
FROM events AS e
WHERE e.name >= %(from)s COLLATE "C" AND e.name < %(until)s COLLATE "C"
  AND e.position < %(before)s::bigint
  AND (e.schema > 0 AND e.type = ANY (%(types)s) AND (%(job)s::text IS NULL OR e.name = %(job)s::text COLLATE "C")
       OR e.schema = 0 AND e.type = %(recorded)s
          AND (%(job)s::text IS NULL OR convert_from(e.data, 'UTF8')::jsonb -> 'names' ? %(job)s::text))
  AND NOT EXISTS (
      SELECT FROM events AS d
      WHERE d.type = %(deleted)s AND d.schema = 0
        AND d.name = (CASE e.schema WHEN 0 THEN e.name ELSE %(parent)s::text || '/operations/' || e.position END) COLLATE "C"
  )
ORDER BY e.position DESC
LIMIT %(limit)s
