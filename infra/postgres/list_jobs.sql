-- Jobs that were not deleted, newest first; the one statement with a part rendered into it
-- (see filtering.py): a condition made of columns of a closed list, its values parameters.
SELECT name, state, version, attempt, create_time, start_time, end_time, update_time,
       delete_time, error, error_message, labels, spec, output
FROM jobs
WHERE delete_time IS NULL AND {condition}
ORDER BY create_time DESC, name
LIMIT %(limit)s
