-- How many jobs that failed or expired after a time are still in that state at a time; null unless
-- the intervals are as they were known at the position.
SELECT CASE WHEN (SELECT position FROM projections WHERE name = 'intervals') = %(position)s THEN (
    SELECT count(*) FROM intervals
    WHERE occurred_from > %(begin)s AND occurred_from <= %(time)s
      AND (occurred_to IS NULL OR occurred_to > %(time)s) AND occurred_state IN (5, 9)
) END
