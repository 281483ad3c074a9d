-- When the first and the last of these positions occurred, and when they were recorded.
SELECT (SELECT min(occurred_from) FROM intervals WHERE position <= %(position)s),
       (SELECT max(occurred_from) FROM intervals WHERE position <= %(position)s),
       (SELECT recorded_time FROM events ORDER BY position LIMIT 1),
       (SELECT recorded_time FROM events WHERE position <= %(position)s ORDER BY position DESC LIMIT 1)
