-- A job's samples from one number to another, in their order.
SELECT number, time, raw_data, raw_prediction, groundtruth
FROM samples
WHERE job = %(job)s AND number BETWEEN %(first)s AND %(last)s
ORDER BY number
