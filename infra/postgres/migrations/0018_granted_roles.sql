-- What a role that the ledger is granted to can do is append and read: functions check what it gives them.
-- The owner can write to every table anyway, and is not slowed down by checks.

-- Whether a granted role may have written an event of the ledger's own.
CREATE FUNCTION may_record(event events) RETURNS boolean STABLE LANGUAGE sql AS 'SELECT false';

-- Checks the events at these positions, which a granted role wrote: versions without gaps, of jobs whose
-- data is JSON, and none of the ledger's own streams.
CREATE FUNCTION check_granted(first bigint, last bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM events AS e
        WHERE e.position BETWEEN first AND last AND e.version > 1
          AND (
              -- A job's events follow a job's, and other aggregates' their own.
              SELECT p.version FROM events AS p
              WHERE p.name = e.name AND p.version = e.version - 1 AND (p.schema > 0) = (e.schema > 0)
          ) IS NULL
    ) THEN
        RAISE serialization_failure USING MESSAGE = 'a version would leave a gap';
    END IF;
    IF EXISTS (
        SELECT FROM events AS e
        WHERE e.position BETWEEN first AND last AND e.schema > 0
          AND (e.version < 1 OR e.occurred_time IS NULL OR e.name !~ '^projects/[^/]+/'
               OR json_typeof(convert_from(e.data, 'UTF8')::json) <> 'object')
    ) THEN
        RAISE check_violation USING MESSAGE = 'this is no event of a job';
    END IF;
    IF EXISTS (
        SELECT FROM events AS e
        WHERE e.position BETWEEN first AND last AND e.name LIKE 'ledger/%' AND NOT may_record(e)
    ) THEN
        RAISE insufficient_privilege USING MESSAGE = 'only the owner writes events of the ledger''s own';
    END IF;
END $$;

-- append with two changes, whatever else was changed in it: `n` counts from 0 to the number of events, so that
-- positions have no gaps; and the rows of jobs that a granted role gives are not believed, but folded from
-- the events.
DO $$
DECLARE
    body text := pg_get_functiondef('append(integer, json, text[], json, json)'::regprocedure);
    -- What stands there, and what is put in its place.
    changes CONSTANT text[] := ARRAY[
        'WHERE e.first IS NULL OR e.version <= 1',
        'WHERE e.n BETWEEN 0 AND append.count - 1 AND (e.first IS NULL OR e.version <= 1',
        'AND p.version = e.version - 1) IS NOT NULL;',
        'AND p.version = e.version - 1) IS NOT NULL);',
        'PERFORM write_jobs(base, new_jobs, changed_jobs);',
        'IF session_user = current_user THEN PERFORM write_jobs(base, new_jobs, changed_jobs);'
        || ' ELSE PERFORM check_granted(base, append.size); PERFORM fold_jobs(base, append.size); END IF;'
    ];
BEGIN
    FOR i IN 1 .. cardinality(changes) BY 2 LOOP
        IF cardinality(string_to_array(body, changes[i])) <> 2 THEN
            RAISE EXCEPTION 'append has not what is to be changed in it: %', changes[i];
        END IF;
        body := replace(body, changes[i], changes[i + 1]);
    END LOOP;
    EXECUTE body;
END $$;

-- Takes the tree from one size to the next, as in 0008, but that the size changes last: the trigger compares
-- tiles with what the tree holds of them, and not with what is stored behind that.
CREATE OR REPLACE FUNCTION grow_log(
    old_size bigint, new_size bigint, levels smallint[], numbers bigint[], hashes bytea[], keys bytea[]
) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER AS $$
#variable_conflict use_column
BEGIN
    UPDATE log SET size = size WHERE size = old_size AND new_size BETWEEN old_size AND (SELECT size FROM head);
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO tiles (level, number, hashes, key)
    SELECT * FROM unnest(levels, numbers, grow_log.hashes, keys)
    ON CONFLICT (level, number) DO UPDATE SET hashes = excluded.hashes;
    UPDATE log SET size = new_size;
    RETURN true;
END $$;

CREATE OR REPLACE FUNCTION only_grow() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    held bigint;
BEGIN
    CASE TG_TABLE_NAME
        WHEN 'log' THEN
            IF NEW.size >= OLD.size AND (NEW.origin = OLD.origin OR NOT EXISTS (SELECT FROM checkpoints)) THEN
                RETURN NEW;
            END IF;
        WHEN 'tiles' THEN
            -- How many of the tile's hashes are in the tree.
            SELECT greatest(0, least(256, (size >> 8 * OLD.level) - OLD.number * 256)) INTO STRICT held FROM log;
            IF (NEW.level, NEW.number) = (OLD.level, OLD.number)
            AND length(NEW.hashes) >= held * 32
            AND substr(NEW.hashes, 1, held::integer * 32) = substr(OLD.hashes, 1, held::integer * 32)
            AND coalesce(NEW.key = OLD.key, NEW.key IS NULL) THEN
                RETURN NEW;
            END IF;
        WHEN 'checkpoints' THEN
            IF NEW.hour = OLD.hour AND NEW.size >= OLD.size THEN
                RETURN NEW;
            END IF;
    END CASE;
    RAISE EXCEPTION 'the ledger only grows: % of % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$;

-- Keeps what a run found, as in 0009, but of a run that is open: its events say so.
CREATE OR REPLACE FUNCTION keep_evaluations(of text, of_run integer, of_dataset text, at timestamptz, made text, short boolean DEFAULT false)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM jobs AS j
        WHERE j.name = of COLLATE "C" AND coalesce((j.output -> 'openRuns')::jsonb, '[]') @> to_jsonb(of_run)
    ) THEN
        RAISE check_violation USING MESSAGE = format('run %s of %s is not open', of_run, of);
    END IF;
    INSERT INTO evaluations (job, run, dataset, create_time, evaluations)
    VALUES (of, of_run, of_dataset, at, made)
    ON CONFLICT (job, run) DO NOTHING;
    IF FOUND AND short THEN
        INSERT INTO alert_mails (job, run) VALUES (of, of_run);
    END IF;
END $$;

DO $$
DECLARE
    function text;
BEGIN
    -- They run with their owner's rights, or in anybody's statement: they must not find others' tables.
    FOREACH function IN ARRAY ARRAY['check_granted', 'may_record', 'grow_log', 'only_grow', 'keep_evaluations'] LOOP
        EXECUTE format('ALTER FUNCTION %I SET search_path = %I, pg_temp', function, current_schema());
    END LOOP;
END $$;
