-- How many jobs entered each terminal state in buckets of positions.
SELECT position / %(width)s AS bucket, state_name(state), count(*)
FROM intervals
WHERE position >= %(begin)s AND position < %(end)s AND state = ANY (%(terminal)s::smallint[])
  AND state IS DISTINCT FROM state_before
GROUP BY 1, 2
