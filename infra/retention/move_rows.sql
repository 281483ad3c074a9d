-- Rewrites the events of some pages unchanged; returns how many of them are before these pages afterwards, and how many behind.
WITH moved AS (
    UPDATE events AS e SET position = e.position
    FROM (
        SELECT ctid AS place FROM events
        WHERE ctid >= format('(%%s,0)', %(first)s::bigint)::tid AND ctid < format('(%%s,0)', %(end)s::bigint)::tid
        FOR UPDATE SKIP LOCKED  -- It never waits for a pruning, so it cannot deadlock with one.
    ) AS here
    WHERE e.ctid = here.place
    RETURNING (e.ctid::text::point)[0]::bigint AS page
)
SELECT count(*), count(*) FILTER (WHERE page < %(first)s), count(*) FILTER (WHERE page >= %(end)s) FROM moved
