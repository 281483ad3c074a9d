-- Statements that hold where a ledger is a schema on one node of several, as with Citus.
--
-- follow keeps two that let a projection follow apart by an UPDATE: SELECT FOR UPDATE does not hold
-- while the ledger is moved to another node, and both would fold the same events.
CREATE OR REPLACE FUNCTION follow(projection text, wanted bigint, most bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    done bigint;
    upto bigint;
BEGIN
    SELECT position INTO STRICT done FROM projections WHERE name = projection AND position IS NOT NULL;
    IF done >= wanted THEN
        RETURN done;
    END IF;
    -- Looked at again: who had the lock before has folded, too.
    UPDATE projections SET position = position WHERE name = projection RETURNING position INTO STRICT done;
    IF done >= wanted THEN
        RETURN done;
    END IF;
    SELECT least(done + most, size) INTO STRICT upto FROM head;
    IF upto > done THEN
        EXECUTE format('SELECT %I($1, $2)', 'fold_' || projection) USING done + 1, upto;
        UPDATE projections SET position = upto WHERE name = projection;
    END IF;
    RETURN greatest(done, upto);
END $$;

-- An UPDATE computes no volatile function: the time is passed in.
CREATE OR REPLACE FUNCTION mail_sent(of text, of_run integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    now CONSTANT timestamptz := clock_timestamp();
BEGIN
    UPDATE alert_mails AS m SET sent_time = now
    WHERE m.job = of COLLATE "C" AND m.run = of_run AND m.sent_time IS NULL;
END $$;
CREATE OR REPLACE FUNCTION delete_spec_set(name_ text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    now CONSTANT timestamptz := clock_timestamp();
BEGIN
    UPDATE annotation_spec_sets AS s SET delete_time = now WHERE s.name = name_ COLLATE "C" AND s.delete_time IS NULL;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM record_spec_set('AnnotationSpecSetDeleted', format('{"name":%s}', to_json(name_)));
    RETURN true;
END $$;

-- lock_head fails where it locked nothing.
CREATE OR REPLACE FUNCTION lock_head() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    held bigint;
BEGIN
    UPDATE head SET size = size WHERE one RETURNING size INTO STRICT held;
END $$;

-- They run with their owner's rights, so they must not find anybody else's tables.
DO $$
DECLARE
    function text;
BEGIN
    FOREACH function IN ARRAY ARRAY['follow', 'mail_sent', 'delete_spec_set', 'lock_head'] LOOP
        EXECUTE format('ALTER FUNCTION %I SET search_path = %I, pg_temp', function, current_schema());
    END LOOP;
END $$;

-- append compares the time a day before with the column: a time plus an interval is STABLE, and an
-- UPDATE may not compute that of a column.
DO $$
DECLARE
    body text := pg_get_functiondef('append(integer, json, text[], json, json)'::regprocedure);
    old_text CONSTANT text := 'now < head.recorded_time + interval ''1 day''';
    new_text CONSTANT text := 'now - interval ''1 day'' < head.recorded_time';
BEGIN
    IF cardinality(string_to_array(body, old_text)) <> 2 THEN
        RAISE EXCEPTION 'append has not what is to be changed in it: %', old_text;
    END IF;
    EXECUTE replace(body, old_text, new_text);
END $$;
