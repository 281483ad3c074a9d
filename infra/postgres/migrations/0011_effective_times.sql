-- jobs_as_of names the columns it takes of a past job; intervals run from when events took effect.
SET LOCAL check_function_bodies = off;
DROP FUNCTION IF EXISTS fold_late(text[]);

DO $do$ BEGIN
    -- A job's row is the row of then if nothing took effect since. A job of which each event took
    -- effect when it occurred is known as far as `intervals` came; all others are folded.
    EXECUTE format($sql$
        CREATE OR REPLACE FUNCTION jobs_as_of(at timestamptz) RETURNS TABLE (
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
                SELECT state, version, attempt, create_time, start_time, end_time, update_time, delete_time,
                       error, error_message, labels, spec, output
                FROM job_as_it_happened(j.name, j.last_position, at)
                WHERE NOT (j.in_order AND j.update_time <= at)
            ) AS was
            WHERE was.delete_time IS NULL AND (NOT j.in_order OR j.create_time <= at)
        $$
    $sql$, current_schema());

    -- From the events themselves, and so always right; with a name it reads that job alone.
    EXECUTE format($sql$
        CREATE OR REPLACE FUNCTION job_interval_rows() RETURNS TABLE (
            name text, version integer, state text, from_position bigint, to_position bigint,
            occurred_from timestamptz, occurred_to timestamptz,
            recorded_from timestamptz, recorded_to timestamptz
        )
        STABLE PARALLEL SAFE LANGUAGE sql AS $$
            SELECT e.name, e.version, e.state, e.position, e.to_position,
                   CASE WHEN NOT e.gone THEN e.effective END, CASE WHEN NOT e.gone THEN e.effective_to END,
                   CASE WHEN e.is_known THEN e.recorded_time END, CASE WHEN e.is_known THEN e.recorded_to END
            FROM (
                SELECT entered.name, entered.version, entered.state, entered.position,
                       entered.effective, entered.recorded_time, entered.is_known,
                       lead(entered.position) OVER known AS to_position,
                       lead(entered.recorded_time) OVER known AS recorded_to,
                       bool_or(entered.state IS NULL) OVER (known ROWS UNBOUNDED PRECEDING) AS forgotten,
                       lead(entered.effective) OVER happened AS effective_to,
                       bool_or(entered.state IS NULL) OVER (happened ROWS UNBOUNDED PRECEDING) AS gone
                FROM (
                    SELECT timed.name, timed.version, timed.position, timed.effective, timed.recorded_time,
                           %1$I.state_after(timed.type) AS state,
                           %1$I.placed_after(timed.version, timed.schema, timed.data) AS place,
                           NOT %1$I.is_placed(timed.schema)
                           OR %1$I.known_state(timed.type, timed.schema, timed.data) IS NOT NULL AS is_known
                    FROM (
                        SELECT events.*, CASE WHEN %1$I.is_placed(schema) THEN occurred_time ELSE greatest(
                            least(occurred_time, recorded_time), max(least(occurred_time, recorded_time)) FILTER (WHERE type <> 'Contradicted' OR version = 1) OVER versions
                        ) END AS effective
                        FROM %1$I.events
                        WHERE schema > 0
                        WINDOW versions AS (PARTITION BY name ORDER BY version)
                    ) AS timed
                    WHERE timed.type = 'Deleted' OR %1$I.state_after(timed.type) IS NOT NULL
                ) AS entered
                WINDOW known AS (PARTITION BY entered.name, entered.is_known ORDER BY entered.version),
                       happened AS (PARTITION BY entered.name ORDER BY entered.effective, least(entered.place, entered.version), entered.version)
            ) AS e
            WHERE NOT e.forgotten
        $$
    $sql$, current_schema());
END $do$;

COMMENT ON COLUMN job_intervals.occurred_from IS 'As it happened: when the event took effect, which is no earlier than the events before it. Null if the job was deleted before.';
COMMENT ON COLUMN job_intervals.recorded_from IS 'From when on the ledger knew it; null of a late report that did not change the state of then.';
COMMENT ON COLUMN job_intervals.recorded_to IS 'Until when the ledger believed it, not included; null if it still does, or if recorded_from is null.';
