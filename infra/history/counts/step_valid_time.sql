-- The times next to a moment at which a job came into another state, as far as was known at a position.
SELECT (SELECT occurred_from FROM intervals
        WHERE occurred_from < %(time)s AND position <= %(position)s ORDER BY occurred_from DESC LIMIT 1),
       (SELECT occurred_from FROM intervals
        WHERE occurred_from > %(time)s AND position <= %(position)s ORDER BY occurred_from LIMIT 1)
