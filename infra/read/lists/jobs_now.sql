-- Jobs as they are; columns, condition and tail are rendered (see job_lists.py and filter_sql.py).
SELECT {columns}
FROM (SELECT *, coalesce(create_time, '-infinity') AS created FROM {jobs}) AS jobs
WHERE delete_time IS NULL AND {condition} {tail}
