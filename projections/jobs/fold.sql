-- What the fold of `jobs` is made of, and the fold itself; see folded.sql.

-- The state an event leads to; null where the state stays as it was, or for no event of a job.
CREATE OR REPLACE FUNCTION state_after(type text) RETURNS text
IMMUTABLE PARALLEL SAFE LANGUAGE sql RETURN
    CASE type  -- The most frequent first.
        WHEN 'Created' THEN 'QUEUED'
        WHEN 'Started' THEN 'RUNNING'
        WHEN 'Succeeded' THEN 'SUCCEEDED'
        WHEN 'Failed' THEN 'FAILED'
        WHEN 'Cancelled' THEN 'CANCELLED'
        WHEN 'Queued' THEN 'QUEUED'
        WHEN 'Paused' THEN 'PAUSED'
        WHEN 'Resumed' THEN 'QUEUED'
        WHEN 'Preparing' THEN 'PENDING'
        WHEN 'Cancelling' THEN 'CANCELLING'
        WHEN 'Retried' THEN 'QUEUED'
        WHEN 'Updating' THEN 'UPDATING'
        WHEN 'Updated' THEN 'RUNNING'
        WHEN 'PartiallySucceeded' THEN 'PARTIALLY_SUCCEEDED'
        WHEN 'Expired' THEN 'EXPIRED'
        WHEN 'RunStarted' THEN 'RUNNING'
        WHEN 'Scheduled' THEN 'QUEUED'
        WHEN 'Stopped' THEN 'CANCELLED'
    END;

-- Changes with every event; the first 8 bytes of a SHA-256 in padded base64.
CREATE OR REPLACE FUNCTION etag(name text, version integer) RETURNS text
IMMUTABLE PARALLEL SAFE LANGUAGE sql RETURN
    encode(substring(sha256((name || '@' || version::text)::bytea) FROM 1 FOR 8), 'base64');

-- An event's data; the bytes are canonical JSON, or they would not have been written.
CREATE OR REPLACE FUNCTION read_json(data bytea) RETURNS json
STABLE PARALLEL SAFE LANGUAGE sql RETURN convert_from(data, 'UTF8')::json;

-- Canonical JSON writes a key in one way only, so that bytes can spare reading it.
CREATE OR REPLACE FUNCTION begins_with_output(data bytea) RETURNS boolean
IMMUTABLE PARALLEL SAFE LANGUAGE sql RETURN substr(data, 1, 10) = '{{"output":'::bytea;

CREATE OR REPLACE FUNCTION has_no_spec(data bytea) RETURNS boolean
IMMUTABLE PARALLEL SAFE LANGUAGE sql RETURN position('"spec":'::bytea IN data) = 0;

-- How many attempts further the job is with an event: a fact of the types that can begin one.
-- Data of their first schema says nothing of that.
CREATE OR REPLACE FUNCTION attempts_begun(type text, schema smallint, data bytea) RETURNS integer
STABLE PARALLEL SAFE LANGUAGE sql RETURN
    CASE WHEN type NOT IN ('Started', 'Queued', 'Preparing', 'Retried') THEN 0
         WHEN schema > 1 AND position('"attemptsBegun":'::bytea IN data) > 0
         THEN coalesce((read_json(data) ->> 'attemptsBegun')::integer, (type = 'Retried')::integer)
         ELSE (type = 'Retried')::integer END;

-- What such an event names the attempt by; null where it does not.
CREATE OR REPLACE FUNCTION run_id(type text, schema smallint, data bytea) RETURNS text
STABLE PARALLEL SAFE LANGUAGE sql RETURN
    CASE WHEN type IN ('Started', 'Queued', 'Preparing', 'Retried')
          AND schema > 1 AND position('"runId":'::bytea IN data) > 0 THEN read_json(data) ->> 'runId' END;

-- A job's run ids once attempts were named by these, or began without (null), the newest first.
-- See remembered() in domain/attempts.py.
CREATE OR REPLACE FUNCTION fold_run_ids(before json, named text[]) RETURNS json
IMMUTABLE PARALLEL SAFE LANGUAGE sql RETURN (
    SELECT to_json(CASE WHEN named[1] IS NULL THEN array_append(array_agg(id ORDER BY place), NULL)
                        ELSE array_agg(id ORDER BY place) END)
    FROM (
        SELECT id, max(place) AS place
        FROM (
            SELECT id, place - 1000000000 AS place
            FROM json_array_elements_text(coalesce(before, '[]')) WITH ORDINALITY AS b (id, place)
            UNION ALL
            SELECT id, -place FROM unnest(named) WITH ORDINALITY AS n (id, place)
        ) AS every
        WHERE id IS NOT NULL
        GROUP BY id
        ORDER BY 2 DESC LIMIT 100
    ) AS latest
    HAVING count(*) > 0
);

-- Whether an event may say which jobs its job belongs to; data of earlier schemas says nothing of that.
CREATE OR REPLACE FUNCTION has_lineage(type text, schema smallint, data bytea) RETURNS boolean
IMMUTABLE PARALLEL SAFE LANGUAGE sql RETURN
    CASE WHEN (type = 'Created' AND schema % 100 > 1) OR (type IN ('Started', 'Queued', 'Preparing', 'Retried') AND schema % 100 > 2)
         THEN position('"parents":'::bytea IN data) > 0 OR position('"root":'::bytea IN data) > 0
              OR position('"triggeredBy":'::bytea IN data) > 0
         ELSE false END;

-- What is known of the jobs that a job belongs to once these events, the newest first, were recorded.
CREATE OR REPLACE FUNCTION fold_lineage(before jsonb, told bytea[]) RETURNS jsonb
IMMUTABLE PARALLEL SAFE LANGUAGE sql RETURN (
    SELECT nullif(coalesce(before, '{{}}') || coalesce(jsonb_object_agg(key, value ORDER BY place DESC), '{{}}'), '{{}}')
    FROM unnest(told) WITH ORDINALITY AS each (data, place), jsonb_each(convert_from(data, 'UTF8')::jsonb)
    WHERE key IN ('parents', 'root', 'triggeredBy') AND value <> 'null'
);

-- An evaluation job's output once these were told, the newest first: what events say of its runs
-- has their type before it. See domain/runs.py.
CREATE OR REPLACE FUNCTION fold_runs(before json, told bytea[]) RETURNS json
IMMUTABLE PARALLEL SAFE LANGUAGE plpgsql AS $$
DECLARE
    output jsonb := before;
    runs jsonb;
    of_run text;
    data jsonb;
BEGIN
    FOR i IN REVERSE cardinality(told) .. 1 LOOP
        of_run := substring(convert_from(told[i], 'UTF8') FROM '^[A-Za-z]+');
        data := substr(convert_from(told[i], 'UTF8'), coalesce(length(of_run), 0) + 1);
        IF of_run IS NULL THEN
            -- What runs told is not replaced.
            SELECT coalesce(jsonb_object_agg(key, value), '{{}}') INTO runs
            FROM jsonb_each(output) WHERE key IN ('attempts', 'lastRun', 'openRuns');
            output := coalesce((data -> 'output') || runs, nullif(runs, '{{}}'));
            CONTINUE;
        END IF;
        output := coalesce(output, '{{}}');
        runs := CASE jsonb_typeof(output -> 'openRuns') WHEN 'array' THEN output -> 'openRuns' ELSE '[]' END;
        IF of_run = 'RunStarted' THEN
            output := jsonb_set(output, '{{lastRun}}', jsonb_build_object(
                'run', data -> 'run', 'runTime', data -> 'runTime', 'cut', coalesce(data -> 'cut', '0')
            ));
            runs := runs || (data -> 'run');
        ELSE
            runs := coalesce((
                SELECT jsonb_agg(run ORDER BY place)
                FROM jsonb_array_elements(runs) WITH ORDINALITY AS open (run, place) WHERE run <> data -> 'run'
            ), '[]');
        END IF;
        IF of_run = 'RunFailed' THEN
            output := jsonb_set(output, '{{attempts}}',
                CASE jsonb_typeof(output -> 'attempts') WHEN 'array' THEN output -> 'attempts' ELSE '[]' END
                || jsonb_build_object(
                    'attemptTime', data -> 'attemptTime', 'partialFailures', coalesce(data -> 'partialFailures', '[]')
                )
            );
        END IF;
        output := jsonb_set(output, '{{openRuns}}', runs);
    END LOOP;
    RETURN output;
END $$;

-- A time, but no later than another; null if there is none.
CREATE OR REPLACE FUNCTION bounded("time" timestamptz, bound timestamptz) RETURNS timestamptz
IMMUTABLE PARALLEL SAFE LANGUAGE sql RETURN CASE WHEN "time" > bound THEN bound ELSE "time" END;

-- Whether an event is a late report that takes effect where it happened; see domain/placing.py.
CREATE OR REPLACE FUNCTION is_placed(schema smallint) RETURNS boolean
IMMUTABLE PARALLEL SAFE LANGUAGE sql RETURN schema > 100;

-- The version behind which an event takes effect: its own, or of a late report the one it was put behind.
CREATE OR REPLACE FUNCTION placed_after(version integer, schema smallint, data bytea) RETURNS integer
STABLE PARALLEL SAFE LANGUAGE sql RETURN
    CASE WHEN schema > 100 THEN (read_json(data) -> '@placed' ->> 'after')::integer ELSE version END;

-- The state that a job is known to be in because of an event; null where it stays as it was.
CREATE OR REPLACE FUNCTION known_state(type text, schema smallint, data bytea) RETURNS text
STABLE PARALLEL SAFE LANGUAGE sql RETURN
    CASE WHEN schema <= 100 OR (read_json(data) -> '@placed' ->> 'latest')::boolean THEN state_after(type) END;

-- A job's events with their effective times, and `place` to order those of the same time by, and
-- these by their versions; see domain/order.py.
CREATE OR REPLACE FUNCTION job_effects(of text) RETURNS TABLE (
    "position" bigint, version integer, type text, schema smallint, data bytea,
    occurred_time timestamptz, effective timestamptz, place integer
)
STABLE PARALLEL SAFE LANGUAGE sql AS $$
    SELECT position, version, type, schema, data, occurred_time, {effective} AS effective,
           least(placed_after(version, schema, data), version) AS place
    FROM events
    WHERE name = of AND schema > 0
    WINDOW versions AS (ORDER BY version)
$$;

-- Folds the events at these positions into jobs. Whatever `jobs` the search_path
-- finds first is meant, so that a rebuild can fold into one beside the live one.
CREATE OR REPLACE FUNCTION fold_jobs(first bigint, last bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    -- Jobs of which something took effect before what is known already are folded from their first event on.
    replaced CONSTANT text[] := coalesce((
        SELECT array_agg(DISTINCT name) FROM events WHERE position BETWEEN first AND last AND is_placed(schema)
    ), '{{}}');
BEGIN
    {folded},
    -- Apart from the insert: ON CONFLICT would cost each new row as much again as its index.
    changed AS (
        UPDATE jobs SET
            state = new.state, version = new.version, attempt = new.attempt,
            create_time = new.create_time, start_time = new.start_time, end_time = new.end_time,
            update_time = new.update_time, effective_time = new.effective_time, delete_time = new.delete_time, error = new.error,
            error_message = new.error_message, labels = new.labels, spec = new.spec,
            output = new.output, run_ids = new.run_ids, lineage = new.lineage, etag = etag(new.name, new.version), last_position = new.last_position
        FROM merged AS new WHERE new.known AND jobs.name = new.name
    )
    INSERT INTO jobs (
        name, project, kind, state, version, attempt, create_time, start_time, end_time,
        update_time, effective_time, delete_time, error, error_message, labels, spec, output, run_ids, lineage, etag,
        first_position, last_position
    )
    SELECT name, project, kind, state, version, attempt, create_time, start_time, end_time,
           update_time, effective_time, delete_time, error, error_message, labels, spec, output, run_ids, lineage, etag(name, version),
           first_position, last_position
    FROM merged WHERE NOT known;
    IF replaced <> '{{}}' THEN
        DELETE FROM jobs WHERE name = ANY (replaced);
        {replaced}
        INSERT INTO jobs (
            name, project, kind, state, version, attempt, create_time, start_time, end_time,
            update_time, effective_time, delete_time, error, error_message, labels, spec, output, run_ids, lineage, etag,
            first_position, last_position
        )
        SELECT name, project, kind, state, version, attempt, create_time, start_time, end_time,
               update_time, effective_time, delete_time, error, error_message, labels, spec, output, run_ids, lineage, etag(name, version),
               first_position, last_position
        FROM merged;
    END IF;
END $$;
