-- The fold of events into rows of `jobs`, put into the functions that need it (see __init__.py):
-- {which} events of {events}, in the order of their {place}, onto the rows they had {before};
-- of one job alone, they are not grouped, and are read from the index in their order if they are {sorted}.
-- The fold in domain/job.py is the meaning, this one is the speed; they are held equal by tests
-- and by `jobledger verify`.
WITH fresh AS (
    SELECT position, name, version, type, schema, least(occurred_time, recorded_time) AS happened, data, {place} AS place,
           state_after(type) AS state,
           -- Data is looked into only where its type may say what is asked.
           CASE WHEN type IN ('Cancelling', 'Cancelled', 'Expired') THEN read_json(data) ->> 'reason'
                WHEN type = 'Failed' THEN coalesce(read_json(data) -> 'error' ->> 'message', '')
           END AS message,
           CASE WHEN type IN ('Succeeded', 'PartiallySucceeded', 'ProgressReported')
                THEN begins_with_output(data) OR read_json(data) -> 'output' IS NOT NULL
                WHEN type IN ('RunStarted', 'EvaluationCreated', 'RunFailed')
                THEN split_part(name, '/', -2) = 'evaluationJobs'
                ELSE attempts_begun(type, schema, data) > 0 END AS outputs,
           attempts_begun(type, schema, data) AS begun, run_id(type, schema, data) AS run_id,
           CASE WHEN type = 'Updated' THEN read_json(data) -> 'spec' IS NOT NULL
                ELSE type IN ('Created', 'ConfigChanged') END AS specifies
    FROM {events}
    WHERE {which} AND schema > 0
    {sorted} OFFSET 0  -- So that what is computed here is computed once.
),
-- All aggregates take the newest first, so that one sort serves them.
delta AS (
    SELECT {named},
           max(version) AS version,
           min(version) AS first_version,
           min(position) AS first_position,
           max(position) AS last_position,
           sum(begun)::integer AS begun,
           array_agg(data ORDER BY place DESC) FILTER (WHERE has_lineage(type, schema, data)) AS lineages,
           array_agg(run_id ORDER BY place DESC) FILTER (WHERE begun > 0 OR run_id IS NOT NULL) AS run_ids,
           max(happened) AS update_time,
           max(happened) FILTER (WHERE type <> 'Contradicted' OR version = 1) AS effective_time,
           (array_agg(type ORDER BY place DESC) FILTER (WHERE state IS NOT NULL))[1] AS entered_by,
           (array_agg(happened ORDER BY place DESC) FILTER (WHERE state IS NOT NULL))[1] AS entered,
           (array_agg(data ORDER BY place DESC) FILTER (WHERE type = 'Failed'))[1] AS failed,
           (array_agg(message ORDER BY place DESC) FILTER (WHERE message IS NOT NULL))[1] AS message,
           max(place) FILTER (WHERE message IS NOT NULL) AS worded,
           -- Cancelled without a reason keeps the one that Cancelling gave.
           max(place) FILTER (WHERE state IS NOT NULL AND message IS NULL AND type <> 'Cancelled') AS unworded,
           (array_agg(happened ORDER BY place DESC) FILTER (WHERE type = 'Deleted'))[1] AS delete_time,
           array_agg(happened ORDER BY place DESC) FILTER (WHERE type = 'Created') AS create_times,
           array_agg(happened ORDER BY place DESC) FILTER (WHERE state = 'RUNNING') AS start_times,
           (array_agg(data ORDER BY place DESC) FILTER (WHERE type IN ('Created', 'LabelsChanged')))[1] AS labels,
           (array_agg(data ORDER BY place DESC) FILTER (WHERE specifies))[1] AS spec,
           array_agg(
               CASE WHEN type IN ('RunStarted', 'EvaluationCreated', 'RunFailed') THEN convert_to(type, 'UTF8') || data
                    WHEN begun > 0 THEN '{{}}'  -- A new attempt has no output yet.
                    ELSE data END
               ORDER BY place DESC
           ) FILTER (WHERE outputs) AS outputs
    FROM fresh
    {grouped}
),
merged AS {kept} (
    SELECT old.name IS NOT NULL AS known,
           delta.name,
           split_part(delta.name, '/', 2) AS project,
           split_part(delta.name, '/', -2) AS kind,
           coalesce(state_after(entered_by), old.state) AS state,
           delta.version,
           coalesce(old.attempt, 1) + delta.begun AS attempt,
           coalesce(old.create_time, create_times[cardinality(create_times)]) AS create_time,
           coalesce(old.start_time, start_times[cardinality(start_times)]) AS start_time,
           CASE
               WHEN entered_by IS NULL THEN old.end_time
               WHEN entered_by IN ('Succeeded', 'PartiallySucceeded', 'Failed', 'Cancelled', 'Expired', 'Stopped') THEN entered
           END AS end_time,
           greatest(old.update_time, delta.update_time) AS update_time,
           nullif(greatest(delta.effective_time, old.effective_time, CASE WHEN old.effective_time IS NULL THEN old.update_time END),
                  greatest(old.update_time, delta.update_time)) AS effective_time,
           coalesce(delta.delete_time, old.delete_time) AS delete_time,
           CASE
               WHEN entered_by IS NULL THEN old.error
               WHEN entered_by = 'Failed' THEN coalesce(read_json(failed) -> 'error', '{{"code":2,"message":""}}')
               WHEN entered_by = 'Cancelled' THEN json_build_object('code', 1, 'message', coalesce(telling.error_message, ''))
           END AS error,
           telling.error_message,
           CASE WHEN delta.labels IS NULL THEN coalesce(old.labels, '{{}}')
                ELSE coalesce((read_json(delta.labels) -> 'labels')::jsonb, '{{}}') END AS labels,
           CASE WHEN delta.spec IS NULL THEN coalesce(old.spec, '{{}}')
                WHEN has_no_spec(delta.spec) THEN '{{}}'
                ELSE coalesce(read_json(delta.spec) -> 'spec', '{{}}') END AS spec,
           CASE WHEN outputs IS NULL THEN old.output
                WHEN split_part(delta.name, '/', -2) = 'evaluationJobs' THEN fold_runs(old.output, outputs)
                ELSE read_json(outputs[1]) -> 'output' END AS output,
           CASE WHEN delta.run_ids IS NULL THEN old.run_ids ELSE fold_run_ids(old.run_ids, delta.run_ids) END AS run_ids,
           CASE WHEN lineages IS NULL THEN old.lineage ELSE fold_lineage(old.lineage, lineages) END AS lineage,
           coalesce(old.first_position, delta.first_position) AS first_position,
           delta.last_position
    FROM delta LEFT JOIN jobs AS old ON {before},
    LATERAL (
        SELECT CASE WHEN worded > coalesce(unworded, 0) THEN delta.message
                    WHEN unworded IS NULL THEN old.error_message END AS error_message
    ) AS telling
)
