-- How far `intervals` came in this snapshot, and when the first and the last thing happened by a time.
SELECT (SELECT position FROM projections WHERE name = 'intervals'), min(occurred_from), max(occurred_from)
FROM intervals WHERE occurred_from <= %(time)s
