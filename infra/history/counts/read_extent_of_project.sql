-- When the first and the last of a project's events up to a position occurred, and were recorded.
WITH its AS NOT MATERIALIZED (
    SELECT i.occurred_from
    FROM events AS e JOIN intervals AS i ON i.position = e.position
    WHERE e.name >= %(first)s AND e.name < %(beyond)s AND i.position <= %(position)s
)
SELECT (SELECT occurred_from FROM its ORDER BY occurred_from LIMIT 1),
       (SELECT occurred_from FROM its ORDER BY occurred_from DESC LIMIT 1),
       (SELECT recorded_time FROM events WHERE name >= %(first)s AND name < %(beyond)s
        AND position <= %(position)s ORDER BY position LIMIT 1),
       (SELECT recorded_time FROM events WHERE name >= %(first)s AND name < %(beyond)s
        AND position <= %(position)s ORDER BY position DESC LIMIT 1)
