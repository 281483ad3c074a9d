-- Which of these samples are questions of a run.
SELECT number FROM samples
WHERE job = %s AND number BETWEEN %s AND %s AND groundtruth IS NULL AND number = ANY(%s::integer[])
