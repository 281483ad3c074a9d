-- Whether there is no job but those whose names are in this range.
SELECT NOT EXISTS (SELECT FROM events WHERE name < %(first)s)
   AND NOT EXISTS (SELECT FROM events WHERE name >= %(beyond)s)
