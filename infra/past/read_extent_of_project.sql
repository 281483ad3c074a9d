-- When the first and the last of a project's events up to a position occurred, and were recorded.
SELECT min(i.occurred_from), max(i.occurred_from), min(e.recorded_time), max(e.recorded_time)
FROM events AS e LEFT JOIN intervals AS i ON i.position = e.position
WHERE e.name >= %(first)s AND e.name < %(beyond)s AND e.position <= %(position)s
