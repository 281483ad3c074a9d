-- As read_events, but limited by bytes of data, with at least one event after the position.
SELECT position, name, version, type, schema, occurred_time, recorded_time, actor, request_id,
       trace_parent, CASE WHEN position > %(after)s::bigint THEN data END
FROM (
    SELECT *, count(*) FILTER (WHERE position > %(after)s::bigint) OVER (ORDER BY position) AS n,
           sum(octet_length(data)) FILTER (WHERE position > %(after)s::bigint) OVER (ORDER BY position) AS bytes
    FROM events
    WHERE position >= %(after)s::bigint
      AND position < coalesce((SELECT min(position) FROM events WHERE position > %(after)s::bigint), %(after)s::bigint)
          + %(limit)s::bigint
) AS following
WHERE n <= 1 OR bytes <= %(bytes)s
ORDER BY position
