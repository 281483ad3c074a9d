-- Imported events of some jobs that occurred at some times, up to a position; carried by events_version.
SELECT name, occurred_time, type, data
FROM events
WHERE name = ANY (%(names)s) AND occurred_time = ANY (%(times)s) AND position <= %(until)s AND actor = %(actor)s
