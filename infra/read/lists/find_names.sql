-- Names of jobs whose name, messages or spec may ever have had a text, up to a limit: from the events
-- that are in no signature yet, and from the blocks whose signature allows it, the newest first.
SELECT name
FROM (
    SELECT e.name
    FROM events AS e
    WHERE e.position BETWEEN %(searched)s + 1 AND %(size)s AND {has_text}
    UNION ALL
    SELECT e.name
    FROM (SELECT block FROM search_blocks WHERE {allowed} ORDER BY block DESC) AS b,
    LATERAL (
        SELECT e.name FROM events AS e
        WHERE e.position BETWEEN (b.block << 10) + 1 AND least((b.block + 1) << 10, %(searched)s) AND {has_text}
    ) AS e
) AS found
LIMIT {limit}
