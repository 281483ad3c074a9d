-- Some events of one job after a version, oldest first, limited by number and by bytes of
-- data, but at least one; `last` is beyond the page's if others follow. Carried by events_version.
SELECT position, name, version, type, schema, occurred_time, recorded_time, actor, request_id,
       trace_parent, data, last
FROM (
    SELECT *, max(version) OVER () AS last,
           row_number() OVER (ORDER BY version) AS n,
           sum(octet_length(data)) OVER (ORDER BY version) AS bytes
    FROM (
        SELECT * FROM events WHERE name = %(name)s AND version > %(after)s
        ORDER BY version LIMIT %(limit)s + 1
    ) AS following
) AS counted
WHERE n = 1 OR (n <= %(limit)s AND bytes <= %(bytes)s)
ORDER BY version
