-- Projections that follow the events instead of being written with them: how far each has come.
ALTER TABLE projections ADD COLUMN position bigint;
COMMENT ON COLUMN projections.position IS 'The last position folded; null if it is written with the events.';

-- Folds the next events, at most so many, into a projection that follows; returns how far it is then.
-- Whoever reads such a projection calls it until that is far enough. It runs with its owner's
-- rights, so that who may only read can do so, too; the row's lock keeps others waiting meanwhile.
CREATE FUNCTION follow(projection text, most bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    done bigint;
    upto bigint;
BEGIN
    UPDATE projections SET position = position WHERE name = projection AND position IS NOT NULL
    RETURNING position INTO STRICT done;
    SELECT least(done + most, size) INTO STRICT upto FROM head;
    IF upto > done THEN
        EXECUTE format('SELECT %I($1, $2)', 'fold_' || projection) USING done + 1, upto;
        UPDATE projections SET position = upto WHERE name = projection;
    END IF;
    RETURN greatest(done, upto);
END $$;
DO $$ BEGIN
    EXECUTE format('ALTER FUNCTION follow SET search_path = %I, pg_temp', current_schema());
END $$;

-- What page tokens are signed with, so that one made elsewhere, or changed, is known for what it is.
CREATE TABLE secrets (
    name text COLLATE "C" PRIMARY KEY,
    value bytea NOT NULL
);
INSERT INTO secrets (name, value) VALUES ('page_token', sha256(convert_to(
    gen_random_uuid()::text || gen_random_uuid()::text || gen_random_uuid()::text, 'UTF8')));

-- The last position recorded by a time. If that is the last of all, the clock is moved on, so that
-- whatever comes is recorded after it and the answer stays what it was.
CREATE FUNCTION position_recorded(at timestamptz) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    low bigint := 0;
    high bigint;
    middle bigint;
BEGIN
    IF at > clock_timestamp() THEN
        RAISE datetime_field_overflow USING MESSAGE = 'nothing is recorded in the future';
    END IF;
    SELECT size INTO high FROM head WHERE recorded_time > at;
    IF high IS NULL THEN
        -- Waits for a writer at work; if it recorded something later than that time, it is not the last.
        UPDATE head SET recorded_time = at + interval '1 microsecond' WHERE recorded_time <= at
        RETURNING size INTO high;
        IF high IS NOT NULL THEN
            RETURN high;
        END IF;
        SELECT size INTO STRICT high FROM head;
    END IF;
    -- Recorded times never run backwards along positions: the last of them is found by halves.
    WHILE low < high LOOP
        middle := (low + high + 1) / 2;
        IF (SELECT recorded_time <= at FROM events WHERE position = middle) THEN
            low := middle;
        ELSE
            high := middle - 1;
        END IF;
    END LOOP;
    RETURN low;
END $$;
DO $$ BEGIN
    EXECUTE format('ALTER FUNCTION position_recorded SET search_path = %I, pg_temp', current_schema());
END $$;
