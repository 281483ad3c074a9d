-- A job's samples after a number.
SELECT number, model, model_version, time, raw_data, raw_prediction, groundtruth
FROM samples WHERE job = %s AND number > %s ORDER BY number LIMIT %s
