-- Events of jobs up to a moment, all columns of rows.py; which and order are rendered.
-- Schema 0 is of other aggregates than jobs: they have no occurred time, and need not be JSON.
SELECT position, name, version, type, schema, occurred_time, recorded_time, actor, request_id,
       trace_parent, data
FROM events
WHERE schema > 0 AND position <= %(position)s AND {which}
ORDER BY {order}
