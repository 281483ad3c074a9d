-- Which of these samples a run asks about.
SELECT number FROM samples
WHERE job = %s AND number BETWEEN %s AND %s AND groundtruth IS NULL AND number = ANY(%s::integer[])
