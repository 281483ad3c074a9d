-- The position of `intervals` in this snapshot, and the first and last times in it up to a time.
SELECT (SELECT position FROM projections WHERE name = 'intervals'), min(occurred_from), max(occurred_from)
FROM intervals WHERE occurred_from <= %(time)s
