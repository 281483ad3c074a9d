-- The times next to a moment at which a job of one project came into another state, as far as was
-- known at a position; and the positions of the project's events next to that one.
WITH its AS NOT MATERIALIZED (
    SELECT i.occurred_from
    FROM events AS e JOIN intervals AS i ON i.position = e.position
    WHERE e.name >= %(first)s AND e.name < %(beyond)s AND i.position <= %(position)s
)
SELECT (SELECT occurred_from FROM its WHERE occurred_from < %(time)s ORDER BY occurred_from DESC LIMIT 1),
       (SELECT occurred_from FROM its WHERE occurred_from > %(time)s ORDER BY occurred_from LIMIT 1),
       (SELECT position FROM events WHERE name >= %(first)s AND name < %(beyond)s
        AND position < %(position)s ORDER BY position DESC LIMIT 1),
       (SELECT position FROM events WHERE name >= %(first)s AND name < %(beyond)s
        AND position > %(position)s ORDER BY position LIMIT 1)
