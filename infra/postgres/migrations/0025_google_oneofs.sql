-- google_ml_jobs shows one of two fields of which a Job has one at most, as the ml v1 API does: predictionInput
-- before trainingInput, and predictionOutput before trainingOutput.
SET LOCAL check_function_bodies = off;

DO $do$ BEGIN
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
                   CASE WHEN NOT i.predicts THEN %1$I.google_field(j.spec, 'trainingInput') END,
                   CASE WHEN NOT i.predicted THEN %1$I.google_ml_output(
                       j.output, 'trainingOutput', i.trains,
                       '{builtInAlgorithmOutput,completedTrialCount,consumedMLUnits,hyperparameterMetricTag,isBuiltInAlgorithmJob,isHyperparameterTuningJob,trials,webAccessUris}'
                   ) END,
                   j.project
            FROM %1$I.jobs AS j LEFT JOIN %1$I.google_ml_places() AS p ON p.name = j.name,
            LATERAL (
                SELECT coalesce(json_typeof(j.spec -> 'trainingInput'), 'null') <> 'null'
                       AND coalesce(json_typeof(j.spec -> 'predictionInput'), 'null') = 'null' AS trains,
                       coalesce(json_typeof(j.spec -> 'predictionInput'), 'null') <> 'null' AS predicts,
                       coalesce(json_typeof(j.output -> 'predictionOutput'), 'null') <> 'null' AS predicted
            ) AS i
            WHERE j.delete_time IS NULL AND j.kind = 'jobs'
              AND split_part(j.name, '/', 3) = 'jobs' AND split_part(j.name, '/', 5) = ''
        $$
    $sql$, current_schema());
END $do$;
