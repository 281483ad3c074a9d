-- The times next to a moment at which a job failed or expired, as far as was known at a position, and
-- the positions of such events next to that one. Which jobs count is rendered.
SELECT (SELECT occurred_from FROM intervals AS i
        WHERE occurred_from < %(time)s AND i.position <= %(position)s AND occurred_state IN (5, 9) AND {counts}
        ORDER BY occurred_from DESC LIMIT 1),
       (SELECT occurred_from FROM intervals AS i
        WHERE occurred_from > %(time)s AND i.position <= %(position)s AND occurred_state IN (5, 9) AND {counts}
        ORDER BY occurred_from LIMIT 1),
       (SELECT i.position FROM intervals AS i
        WHERE i.position < %(position)s AND state IN (5, 9) AND {counts} ORDER BY i.position DESC LIMIT 1),
       (SELECT i.position FROM intervals AS i
        WHERE i.position > %(position)s AND state IN (5, 9) AND {counts} ORDER BY i.position LIMIT 1)
