-- The times next to a moment at which a job of one project came into another state, as far as was
-- known at a position; and the positions of the project's events next to that one.
SELECT max(i.occurred_from) FILTER (WHERE i.occurred_from < %(time)s AND e.position <= %(position)s),
       min(i.occurred_from) FILTER (WHERE i.occurred_from > %(time)s AND e.position <= %(position)s),
       max(e.position) FILTER (WHERE e.position < %(position)s),
       min(e.position) FILTER (WHERE e.position > %(position)s)
FROM events AS e LEFT JOIN intervals AS i ON i.position = e.position
WHERE e.name >= %(first)s AND e.name < %(beyond)s
