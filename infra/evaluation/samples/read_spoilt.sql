-- A job's predictions that could not be sampled, after a number.
SELECT number, why, time, raw_data, raw_prediction, groundtruth
FROM spoilt_predictions WHERE job = %s AND number > %s ORDER BY number LIMIT %s
