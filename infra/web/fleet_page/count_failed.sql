-- How many jobs that failed or expired after a time are still in that state at a time: those that entered
-- it, without those of them that left it again. Null unless the intervals are as they were known at the
-- position.
SELECT CASE WHEN (SELECT position FROM projections WHERE name = 'intervals') = %(position)s THEN (
    SELECT count(*) FILTER (WHERE occurred_state IN (5, 9))
           - count(*) FILTER (WHERE occurred_before IN (5, 9) AND phase_from > %(begin)s)
    FROM intervals
    WHERE occurred_from > %(begin)s AND occurred_from <= %(time)s
) END
