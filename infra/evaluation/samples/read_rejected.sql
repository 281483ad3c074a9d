-- A job's predictions that could not be sampled, after a number, bounded as read_page is.
SELECT number, why, time, raw_data, raw_prediction, groundtruth
FROM (
    SELECT *, row_number() OVER (ORDER BY number) AS n,
           sum(length(raw_data::text) + length(raw_prediction::text)) OVER (ORDER BY number) AS size
    FROM (
        SELECT * FROM spoilt_predictions WHERE job = %s AND number > %s ORDER BY number LIMIT %s
    ) AS following
) AS counted
WHERE n = 1 OR size <= %s
ORDER BY number
