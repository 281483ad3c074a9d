-- A position, or a version of a job, in the log: the server's clock; the last position; how many times
-- jobs were pruned; where the version stands, and the job's last one; and when the event there was
-- recorded, or the one before it if it was pruned. Carried by events_version and events_pkey.
SELECT clock_timestamp(), size,
       (SELECT version FROM events WHERE name = 'ledger/prunings' ORDER BY version DESC LIMIT 1),
       place.position, place.last,
       (SELECT recorded_time FROM events AS e WHERE e.position <= place.position ORDER BY e.position DESC LIMIT 1)
FROM head, (
    SELECT coalesce(%(position)s::bigint,
                    (SELECT position FROM events WHERE name = %(name)s AND version = %(version)s)) AS position,
           (SELECT version FROM events WHERE name = %(name)s ORDER BY version DESC LIMIT 1) AS last
) AS place
