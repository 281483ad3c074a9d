-- All rows of jobs, deleted ones too, in the order of names.
SELECT name, state, version, attempt, create_time, start_time, end_time, update_time, effective_time,
       delete_time, error, error_message, labels, spec, output, run_ids, lineage,
       project, kind, etag, first_position, last_position
FROM jobs ORDER BY name
