-- Leases of runs: who runs a job reports that it lives by moving its lease's end, which is a row and not an
-- event. A job whose lease has ended was lost.

CREATE TABLE leases (
    job text COLLATE "C" NOT NULL,
    run_id text COLLATE "C" NOT NULL,
    heartbeat_time timestamptz NOT NULL,
    expire_time timestamptz NOT NULL,
    PRIMARY KEY (job, run_id)
) WITH (fillfactor = 50);

-- Makes the run's lease end so many milliseconds from now.
CREATE FUNCTION keep_lease(of text, by_run text, milliseconds integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    now CONSTANT timestamptz := clock_timestamp();
    until CONSTANT timestamptz := now + milliseconds * interval '1 millisecond';
BEGIN
    IF of !~ '^projects/[^/]+/' OR length(by_run) NOT BETWEEN 1 AND 256 OR milliseconds NOT BETWEEN 1 AND 86400000
    OR of IS NULL OR by_run IS NULL OR milliseconds IS NULL THEN
        RAISE check_violation USING MESSAGE = 'a lease is of a job''s run, for 1 to 86400000 milliseconds';
    END IF;
    INSERT INTO leases (job, run_id, heartbeat_time, expire_time) VALUES (of, by_run, now, until)
    ON CONFLICT (job, run_id) DO UPDATE
    SET heartbeat_time = excluded.heartbeat_time, expire_time = excluded.expire_time;
END $$;

-- Ends a run's lease; given a time, only if that is still the time of its last heartbeat.
CREATE FUNCTION end_lease(of text, by_run text, unless_after timestamptz DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    DELETE FROM leases AS l
    WHERE l.job = of COLLATE "C" AND l.run_id = by_run COLLATE "C"
      AND (unless_after IS NULL OR l.heartbeat_time <= unless_after);
END $$;

DO $$
DECLARE
    function text;
BEGIN
    -- They run with their owner's rights: they must not find others' tables.
    FOREACH function IN ARRAY ARRAY['keep_lease', 'end_lease'] LOOP
        EXECUTE format('ALTER FUNCTION %I SET search_path = %I, pg_temp', function, current_schema());
    END LOOP;
END $$;
