-- As read_events, but limited by bytes of data, with at least one event.
SELECT position, name, version, type, schema, occurred_time, recorded_time, actor, request_id,
       trace_parent, data
FROM (
    SELECT *, row_number() OVER (ORDER BY position) AS n,
           sum(octet_length(data)) OVER (ORDER BY position) AS bytes
    FROM events
    WHERE position > %(after)s::bigint
      AND position < (SELECT min(position) FROM events WHERE position > %(after)s::bigint) + %(limit)s::bigint
) AS following
WHERE n = 1 OR bytes <= %(bytes)s
ORDER BY position
