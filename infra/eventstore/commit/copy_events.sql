-- Events in bulk, their positions taken before.
COPY events (position, recorded_time, occurred_time, version, schema, type, name, data,
             actor, request_id, trace_parent) FROM STDIN (FORMAT BINARY)
