-- A job's samples from one number to another, as a dataset's digest is made of them.
SELECT number, time, raw_data, raw_prediction, groundtruth
FROM samples WHERE job = %s AND number BETWEEN %s AND %s ORDER BY number
