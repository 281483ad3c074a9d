-- Labels of the newest thousand jobs and their values, the most frequent keys first; under '' their kinds.
WITH newest AS (
    SELECT kind, labels FROM jobs
    WHERE delete_time IS NULL AND (%(project)s::text IS NULL OR project = %(project)s)
    ORDER BY coalesce(create_time, '-infinity') DESC, name LIMIT 1000
)
SELECT key, array_agg(DISTINCT value)
FROM (
    SELECT '' AS key, kind AS value FROM newest
    UNION ALL
    SELECT label.key, label.value FROM newest, jsonb_each_text(labels) AS label
) AS labels_of_job
GROUP BY key ORDER BY count(*) DESC LIMIT 30
