-- Copies events in bulk, at positions that were taken before.
COPY events (position, recorded_time, occurred_time, version, schema, type, name, data,
             actor, request_id, trace_parent) FROM STDIN (FORMAT BINARY)
