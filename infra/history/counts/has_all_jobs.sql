-- Whether all jobs have names in this range.
SELECT NOT EXISTS (SELECT FROM events WHERE name < %(first)s)
   AND NOT EXISTS (SELECT FROM events WHERE name >= %(beyond)s)
