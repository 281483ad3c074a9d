-- Views for BI tools and psql, each with a comment that says what it shows.
--
-- What reads `jobs` or another projection does so in a function whose body is text: the tables of
-- a projection are dropped and put in place anew by a rebuild, which a view of them would forbid.
-- Bodies name the ledger's schema, so that a session needs no search_path to read a view.
-- A function runs with the rights of who reads the view: who may SELECT the tables may use it.
SET LOCAL check_function_bodies = off;

COMMENT ON VIEW history IS 'The events of all jobs and of other aggregates, their data as JSON; see job_events.';

CREATE VIEW job_events AS
SELECT position, name, version, type, schema, occurred_time, recorded_time,
       actor, request_id, trace_parent, convert_from(data, 'UTF8')::json AS data
FROM events
WHERE schema > 0;
COMMENT ON VIEW job_events IS 'What happened to jobs, one row an event, in no order unless one is asked for; also of deleted jobs.';
COMMENT ON COLUMN job_events.position IS 'Place in the ledger, from 1, in commit order.';
COMMENT ON COLUMN job_events.version IS 'Place in the job, from 1, without gaps.';
COMMENT ON COLUMN job_events.schema IS 'Which schema of its type the data was written under.';
COMMENT ON COLUMN job_events.occurred_time IS 'When it happened, as its reporter says.';
COMMENT ON COLUMN job_events.recorded_time IS 'When the ledger took it in; never runs backwards along positions.';
COMMENT ON COLUMN job_events.data IS 'What the event says, as JSON.';

DO $do$ BEGIN
    -- From the events themselves, and so always right; with a name it reads that job alone.
    EXECUTE format($sql$
        CREATE FUNCTION job_interval_rows() RETURNS TABLE (
            name text, version integer, state text, from_position bigint, to_position bigint,
            occurred_from timestamptz, occurred_to timestamptz,
            recorded_from timestamptz, recorded_to timestamptz
        )
        STABLE PARALLEL SAFE LANGUAGE sql AS $$
            SELECT e.name, e.version, e.state, e.position, e.to_position,
                   CASE WHEN NOT e.gone THEN e.occurred_time END, CASE WHEN NOT e.gone THEN e.occurred_to END,
                   e.recorded_time, e.recorded_to
            FROM (
                SELECT entered.name, entered.version, entered.state, entered.position,
                       entered.occurred_time, entered.recorded_time,
                       lead(entered.position) OVER known AS to_position,
                       lead(entered.recorded_time) OVER known AS recorded_to,
                       bool_or(entered.state IS NULL) OVER (known ROWS UNBOUNDED PRECEDING) AS forgotten,
                       lead(entered.occurred_time) OVER happened AS occurred_to,
                       bool_or(entered.state IS NULL) OVER (happened ROWS UNBOUNDED PRECEDING) AS gone
                FROM (
                    SELECT name, version, position, occurred_time, recorded_time, %1$I.state_after(type) AS state
                    FROM %1$I.events
                    WHERE schema > 0 AND (type = 'Deleted' OR %1$I.state_after(type) IS NOT NULL)
                ) AS entered
                WINDOW known AS (PARTITION BY entered.name ORDER BY entered.version),
                       happened AS (PARTITION BY entered.name ORDER BY entered.occurred_time, entered.version)
            ) AS e
            WHERE NOT e.forgotten
        $$
    $sql$, current_schema());

    -- PENDING is PREPARING there. What ml v1 has no state for is told as it would have been: a
    -- paused job waits, one being updated runs, and a job past its limits is cancelled.
    EXECUTE format($sql$
        CREATE FUNCTION google_ml_job_rows() RETURNS TABLE (
            "createTime" timestamptz, "endTime" timestamptz, "errorMessage" text, etag text, "jobId" text,
            "jobPosition" bigint, labels jsonb, "predictionInput" json, "predictionOutput" json,
            "startTime" timestamptz, state text, "trainingInput" json, "trainingOutput" json, "projectsId" text
        )
        STABLE PARALLEL SAFE LANGUAGE sql AS $$
            SELECT j.create_time, j.end_time, j.error_message, j.etag, split_part(j.name, '/', 4),
                   CASE WHEN j.state = 'QUEUED' THEN (
                       SELECT CASE WHEN e.type = 'Queued' THEN (convert_from(e.data, 'UTF8')::json ->> 'queuePosition')::bigint END
                       FROM %1$I.events AS e
                       WHERE e.name = j.name AND %1$I.state_after(e.type) IS NOT NULL
                       ORDER BY e.version DESC LIMIT 1
                   ) END,
                   j.labels, j.spec -> 'predictionInput', j.output -> 'predictionOutput', j.start_time,
                   CASE j.state
                       WHEN 'PENDING' THEN 'PREPARING'
                       WHEN 'PAUSED' THEN 'QUEUED'
                       WHEN 'UPDATING' THEN 'RUNNING'
                       WHEN 'PARTIALLY_SUCCEEDED' THEN 'SUCCEEDED'
                       WHEN 'EXPIRED' THEN 'CANCELLED'
                       ELSE coalesce(j.state, 'STATE_UNSPECIFIED')
                   END,
                   j.spec -> 'trainingInput', j.output -> 'trainingOutput', j.project
            FROM %1$I.jobs AS j
            WHERE j.delete_time IS NULL AND j.kind = 'jobs'
              AND split_part(j.name, '/', 3) = 'jobs' AND split_part(j.name, '/', 5) = ''
        $$
    $sql$, current_schema());

    -- A job's row is the row of then if nothing happened to it since and its reports came in the
    -- order they occurred. That is known as far as `intervals` came; what came later is folded.
    EXECUTE format($sql$
        CREATE FUNCTION jobs_as_of(at timestamptz) RETURNS TABLE (
            name text, project text, kind text, state text, version integer, attempt integer,
            create_time timestamptz, start_time timestamptz, end_time timestamptz, update_time timestamptz,
            delete_time timestamptz, error json, error_message text, labels jsonb, spec json, output json, etag text
        )
        STABLE PARALLEL SAFE LANGUAGE sql SET search_path = %1$I, pg_temp AS $$
            SELECT j.name, j.project, j.kind, was.state, was.version, was.attempt, was.create_time, was.start_time,
                   was.end_time, was.update_time, was.delete_time, was.error, was.error_message, was.labels,
                   was.spec, was.output, etag(j.name, was.version)
            FROM (
                SELECT jobs.*, late.name IS NULL AND last_position <= followed.position AS in_order
                FROM (SELECT position FROM projections WHERE name = 'intervals') AS followed,
                     jobs LEFT JOIN late_jobs AS late ON late.name = jobs.name
            ) AS j, LATERAL (
                SELECT j.state, j.version, j.attempt, j.create_time, j.start_time, j.end_time,
                       j.update_time, j.delete_time, j.error, j.error_message, j.labels, j.spec, j.output
                WHERE j.in_order AND j.update_time <= at
                UNION ALL
                SELECT * FROM job_as_it_happened(j.name, j.last_position, at)
                WHERE NOT (j.in_order AND j.update_time <= at)
            ) AS was
            WHERE was.delete_time IS NULL AND (NOT j.in_order OR j.create_time <= at)
        $$
    $sql$, current_schema());
END $do$;

-- Collated as the index of names is, so that it serves.
CREATE VIEW job_intervals AS
SELECT name COLLATE "C" AS name, version, state, from_position, to_position,
       occurred_from, occurred_to, recorded_from, recorded_to
FROM job_interval_rows();
COMMENT ON VIEW job_intervals IS 'When each job was in which state, on both clocks: one row for each event that it entered a state by. Also of deleted jobs, until they were.';
COMMENT ON COLUMN job_intervals.version IS 'Of the event that the state was entered by.';
COMMENT ON COLUMN job_intervals.from_position IS 'Of the event that the state was entered by.';
COMMENT ON COLUMN job_intervals.to_position IS 'Of the event that the state was left by; null if it is the present one.';
COMMENT ON COLUMN job_intervals.occurred_from IS 'As it happened; null if a report that came late says that the job was deleted before.';
COMMENT ON COLUMN job_intervals.occurred_to IS 'As it happened, not included; null if it is the present state.';
COMMENT ON COLUMN job_intervals.recorded_from IS 'From when on the ledger knew it.';
COMMENT ON COLUMN job_intervals.recorded_to IS 'Until when the ledger believed it, not included; null if it still does.';

CREATE VIEW google_ml_jobs AS SELECT * FROM google_ml_job_rows();
COMMENT ON VIEW google_ml_jobs IS 'Jobs named projects/P/jobs/ID as the resource google.ml.jobs shows them, but deleted ones.';
COMMENT ON COLUMN google_ml_jobs."jobId" IS 'The last part of the job''s name.';
COMMENT ON COLUMN google_ml_jobs."jobPosition" IS 'Place in the line of a QUEUED job; null where that is not known.';
COMMENT ON COLUMN google_ml_jobs.state IS 'ml v1''s: PENDING is PREPARING, UPDATING is RUNNING, PAUSED is QUEUED, PARTIALLY_SUCCEEDED is SUCCEEDED, EXPIRED is CANCELLED.';
COMMENT ON COLUMN google_ml_jobs."trainingInput" IS 'trainingInput of the job''s spec; predictionInput, and the outputs of its output, likewise.';
COMMENT ON COLUMN google_ml_jobs."projectsId" IS 'The project, to select by.';

COMMENT ON FUNCTION jobs_as_of(timestamptz) IS 'Jobs as it happened up to that time, as far as is known now, but those deleted by then.';

DO $$
DECLARE
    role text;
BEGIN
    -- Who could read the events can read these views.
    FOR role IN
        SELECT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END
        FROM pg_class AS c, aclexplode(c.relacl) AS a
        WHERE c.oid = 'events'::regclass AND a.privilege_type = 'SELECT' AND a.grantee <> c.relowner
    LOOP
        EXECUTE format('GRANT SELECT ON job_events, job_intervals, google_ml_jobs TO %s', role);
    END LOOP;
END $$;
