-- A job's samples after a number, limited by number and characters, but at least one.
SELECT number, model, model_version, time, raw_data, raw_prediction, groundtruth
FROM (
    SELECT *, row_number() OVER (ORDER BY number) AS n,
           sum(length(raw_data::text) + length(raw_prediction::text)) OVER (ORDER BY number) AS size
    FROM (
        SELECT * FROM samples WHERE job = %s AND number > %s ORDER BY number LIMIT %s
    ) AS following
) AS counted
WHERE n = 1 OR size <= %s
ORDER BY number
