-- Whether more state changes than a limit happened between two times.
SELECT count(*) > %(most)s FROM (
    SELECT FROM intervals
    WHERE occurred_from >= to_timestamp(%(begin)s) AND occurred_from < to_timestamp(%(end)s)
    LIMIT %(most)s + 1
) AS found
