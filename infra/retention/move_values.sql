-- Rewrites long data of the last events before a position, unchanged, into free pages of the TOAST table:
-- the positions, and how many bytes each takes there.
WITH long AS MATERIALIZED (
    SELECT position FROM events
    WHERE position < %(before)s AND octet_length(data) >= %(length)s ORDER BY position DESC LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
UPDATE events AS e SET data = e.data || ''::bytea FROM long WHERE e.position = long.position
RETURNING e.position, pg_column_size(e.data)
