-- Jobs as they are; columns, condition and tail are rendered (see fleet.py and filtering.py).
SELECT {columns}
FROM (SELECT *, coalesce(create_time, '-infinity') AS created FROM {jobs}) AS jobs
WHERE delete_time IS NULL AND {condition} {tail}
