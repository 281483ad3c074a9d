-- Events as their leaves have them (domain/proof/leaves.py): the position, which is not in the leaf, the
-- data, which is committed to, and then all that is in it. first and last are rendered, as COPY takes
-- no parameters.
COPY (
    SELECT position, data, name, version, type, schema, occurred_time, recorded_time, actor, request_id, trace_parent
    FROM events WHERE position BETWEEN {first} AND {last} ORDER BY position
) TO STDOUT (FORMAT binary)
