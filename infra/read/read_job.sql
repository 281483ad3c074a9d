-- The current state of one job, deleted or not. Carried by jobs_pkey.
SELECT name, state, version, attempt, create_time, start_time, end_time, update_time, effective_time,
       delete_time, error, error_message, labels, spec, output, run_ids, lineage
FROM jobs WHERE name = %s
