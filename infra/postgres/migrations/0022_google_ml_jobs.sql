-- google_ml_jobs shows what the ml v1 API answers: outputs as the API puts them together, labels as Google shows
-- them, a reason only in the states that have one, and a place in the queue also where none was reported.
SET LOCAL check_function_bodies = off;

-- Labels as Google's APIs show them; see domain/values/labels.py. Null where there are none.
CREATE FUNCTION google_labels(labels jsonb) RETURNS jsonb IMMUTABLE PARALLEL SAFE LANGUAGE sql AS $$
    SELECT jsonb_object_agg(one.key, CASE WHEN one.value ~ '^[A-Za-z0-9_.-]*$' THEN lower(translate(one.value, '.', '_')) ELSE one.value END)
    FROM (
        SELECT DISTINCT ON (shown.key) shown.key, l.value
        FROM jsonb_each_text(google_labels.labels) AS l,
        LATERAL (
            SELECT CASE WHEN l.key ~ '^[A-Za-z0-9_./-]*$'
                        THEN left(concat(CASE WHEN l.key ~ '^[0-9]' THEN 'k_' END, lower(translate(l.key, './', '__'))), 64)
                        ELSE l.key END AS key
        ) AS shown
        ORDER BY shown.key, l.key <> shown.key, l.key COLLATE "C"
    ) AS one
$$;

-- A field of an object; null where it holds nothing.
CREATE FUNCTION google_field(said json, field text) RETURNS json IMMUTABLE PARALLEL SAFE LANGUAGE sql AS $$
    SELECT CASE WHEN json_typeof(said -> field) = 'null' OR (said -> field)::text IN ('{}', '[]') THEN NULL ELSE said -> field END
$$;

-- One of the two output fields: as it was reported or, if neither was, of what was reported beside them if it is the
-- one that fits the input. `known` are the fields of its message.
CREATE FUNCTION google_ml_output(output json, field text, fits boolean, known text[]) RETURNS json IMMUTABLE PARALLEL SAFE LANGUAGE sql AS $$
    SELECT CASE
        WHEN coalesce(json_typeof(output -> 'trainingOutput'), 'null') <> 'null'
          OR coalesce(json_typeof(output -> 'predictionOutput'), 'null') <> 'null' THEN google_field(output, field)
        WHEN fits AND json_typeof(output) = 'object' THEN (
            SELECT json_object_agg(e.key, e.value) FROM json_each(output) AS e
            WHERE e.key = ANY (known) AND json_typeof(e.value) <> 'null'
        )
    END
$$;

DO $do$ BEGIN
    -- A place that was reported is believed; else jobs wait by priority, and then by age. See infra/google/wire/queue.py.
    EXECUTE format($sql$
        CREATE FUNCTION google_ml_places() RETURNS TABLE (name text, place bigint)
        STABLE PARALLEL SAFE LANGUAGE sql AS $$
            SELECT j.name, coalesce(reported.place, j.reckoned)
            FROM (
                SELECT jobs.name, jobs.version, row_number() OVER (
                    PARTITION BY jobs.project
                    ORDER BY CASE WHEN p.priority ~ '^-?\d+$' THEN p.priority::numeric ELSE 0 END DESC,
                             jobs.create_time NULLS LAST, jobs.name
                ) AS reckoned
                FROM %1$I.jobs, LATERAL (
                    SELECT CASE WHEN json_typeof(jobs.spec #> '{trainingInput,scheduling,priority}') = 'number'
                                THEN jobs.spec #>> '{trainingInput,scheduling,priority}' END AS priority
                ) AS p
                WHERE jobs.kind = 'jobs' AND jobs.state = 'QUEUED' AND jobs.delete_time IS NULL
            ) AS j, LATERAL (
                SELECT CASE WHEN e.type = 'Queued' AND json_typeof(%1$I.read_json(e.data) -> 'queuePosition') = 'number'
                            THEN (%1$I.read_json(e.data) ->> 'queuePosition')::bigint END AS place
                FROM %1$I.events AS e
                WHERE e.name = j.name AND e.version <= j.version AND %1$I.known_state(e.type, e.schema, e.data) IS NOT NULL
                ORDER BY e.version DESC LIMIT 1
            ) AS reported
        $$
    $sql$, current_schema());

    EXECUTE format($sql$
        CREATE OR REPLACE FUNCTION google_ml_job_rows() RETURNS TABLE (
            "createTime" timestamptz, "endTime" timestamptz, "errorMessage" text, etag text, "jobId" text,
            "jobPosition" bigint, labels jsonb, "predictionInput" json, "predictionOutput" json,
            "startTime" timestamptz, state text, "trainingInput" json, "trainingOutput" json, "projectsId" text
        )
        STABLE PARALLEL SAFE LANGUAGE sql AS $$
            SELECT j.create_time, j.end_time,
                   CASE WHEN j.state IN ('FAILED', 'CANCELLING', 'CANCELLED', 'EXPIRED') THEN j.error_message END,
                   j.etag, split_part(j.name, '/', 4), p.place,
                   %1$I.google_labels(j.labels), %1$I.google_field(j.spec, 'predictionInput'),
                   %1$I.google_ml_output(
                       j.output, 'predictionOutput', NOT i.trains AND i.predicts,
                       '{errorCount,nodeHours,outputPath,predictionCount}'
                   ),
                   j.start_time,
                   CASE j.state
                       WHEN 'PENDING' THEN 'PREPARING'
                       WHEN 'PAUSED' THEN 'QUEUED'
                       WHEN 'UPDATING' THEN 'RUNNING'
                       WHEN 'PARTIALLY_SUCCEEDED' THEN 'SUCCEEDED'
                       WHEN 'EXPIRED' THEN 'CANCELLED'
                       ELSE coalesce(j.state, 'STATE_UNSPECIFIED')
                   END,
                   %1$I.google_field(j.spec, 'trainingInput'),
                   %1$I.google_ml_output(
                       j.output, 'trainingOutput', i.trains,
                       '{builtInAlgorithmOutput,completedTrialCount,consumedMLUnits,hyperparameterMetricTag,isBuiltInAlgorithmJob,isHyperparameterTuningJob,trials,webAccessUris}'
                   ),
                   j.project
            FROM %1$I.jobs AS j LEFT JOIN %1$I.google_ml_places() AS p ON p.name = j.name,
            LATERAL (
                SELECT coalesce(json_typeof(j.spec -> 'trainingInput'), 'null') <> 'null' AS trains,
                       coalesce(json_typeof(j.spec -> 'predictionInput'), 'null') <> 'null' AS predicts
            ) AS i
            WHERE j.delete_time IS NULL AND j.kind = 'jobs'
              AND split_part(j.name, '/', 3) = 'jobs' AND split_part(j.name, '/', 5) = ''
        $$
    $sql$, current_schema());
    EXECUTE format('ALTER FUNCTION google_ml_output(json, text, boolean, text[]) SET search_path = %I, pg_temp', current_schema());
END $do$;

COMMENT ON COLUMN google_ml_jobs."jobPosition" IS 'Place in the line of a QUEUED job: as it was reported, else by priority and age.';
COMMENT ON COLUMN google_ml_jobs."trainingOutput" IS 'trainingOutput of the job''s output or, if neither was reported, the fields of it that were; predictionOutput likewise.';
COMMENT ON COLUMN google_ml_jobs.labels IS 'As Google''s APIs show them: app.kubernetes.io/name is app_kubernetes_io_name.';
COMMENT ON VIEW google_ml_jobs IS 'Jobs named projects/P/jobs/ID as the resource google.ml.jobs shows them, but deleted ones. Personal values are @personal objects. What is not of its field''s type is shown as it is, and left out by the API.';
