-- Proof: a Merkle tree (RFC 6962) over all events, grown after they were written. See domain/leaves.py
-- for what a leaf is, and C2SP's tlog-tiles for tiles.
--
-- What stands here can be made again from the events but for the salts' keys, and proves nothing
-- by itself: who owns the database can change it. What cannot be changed unseen are the checkpoints,
-- signed with a key that is not in the database, of which others hold copies.

-- One row: what the log is called, and how many events are in the tree.
CREATE TABLE log (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    origin text COLLATE "C" NOT NULL CHECK (origin ~ '^[^\s+[:cntrl:]]+$'),
    size bigint NOT NULL CHECK (size >= 0)
) WITH (fillfactor = 10);
INSERT INTO log (origin, size)
VALUES (format('jobledger/%s/%s', regexp_replace(current_schema(), '^ledger_', ''),
               left(replace(gen_random_uuid()::text, '-', ''), 12)), 0);

CREATE TABLE tiles (
    level smallint NOT NULL CHECK (level BETWEEN 0 AND 7),
    number bigint NOT NULL CHECK (number >= 0),
    hashes bytea NOT NULL CHECK (length(hashes) % 32 = 0 AND length(hashes) BETWEEN 32 AND 8192),
    key bytea CHECK (key IS NULL OR (length(key) = 32 AND level = 0)),
    PRIMARY KEY (level, number)
);
-- Hashes cannot be compressed.
ALTER TABLE tiles ALTER COLUMN hashes SET STORAGE EXTERNAL;

CREATE TABLE checkpoints (
    hour timestamptz PRIMARY KEY,
    size bigint NOT NULL,
    note text NOT NULL,
    signed_time timestamptz NOT NULL
);

COMMENT ON TABLE log IS 'The Merkle tree over the events: what it is called, and how many it holds.';
COMMENT ON COLUMN log.origin IS 'Its name in checkpoints (C2SP tlog-checkpoint); never changes once one was signed.';
COMMENT ON TABLE tiles IS 'Its hashes, 256 a row (C2SP tlog-tiles).';
COMMENT ON COLUMN tiles.hashes IS 'SHA-256 hashes; of level 0 those of leaves, above it those of full tiles below.';
COMMENT ON COLUMN tiles.key IS 'Of level 0: the key of the salts of its leaves; null once all their events were pruned.';
COMMENT ON TABLE checkpoints IS 'What was signed: the last of each hour (C2SP tlog-checkpoint), with cosignatures.';

CREATE FUNCTION only_grow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    CASE TG_TABLE_NAME
        WHEN 'log' THEN
            IF NEW.size >= OLD.size AND (NEW.origin = OLD.origin OR NOT EXISTS (SELECT FROM checkpoints)) THEN
                RETURN NEW;
            END IF;
        WHEN 'tiles' THEN
            IF (NEW.level, NEW.number) = (OLD.level, OLD.number)
            AND substr(NEW.hashes, 1, length(OLD.hashes)) = OLD.hashes
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
CREATE TRIGGER only_grow BEFORE UPDATE ON log FOR EACH ROW EXECUTE FUNCTION only_grow();
CREATE TRIGGER only_grow BEFORE UPDATE ON tiles FOR EACH ROW EXECUTE FUNCTION only_grow();
CREATE TRIGGER only_grow BEFORE UPDATE ON checkpoints FOR EACH ROW EXECUTE FUNCTION only_grow();
CREATE TRIGGER no_delete BEFORE DELETE ON log FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER no_delete BEFORE DELETE ON tiles FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER no_delete BEFORE DELETE ON checkpoints FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON log FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON tiles FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON checkpoints FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Takes the tree from one size to the next, with the tiles that changed or came; false, and nothing
-- is done, where it is of another size: somebody else was faster.
CREATE FUNCTION grow_log(
    old_size bigint, new_size bigint, levels smallint[], numbers bigint[], hashes bytea[], keys bytea[]
) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER AS $$
#variable_conflict use_column
BEGIN
    UPDATE log SET size = new_size WHERE size = old_size AND new_size <= (SELECT size FROM head);
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO tiles (level, number, hashes, key)
    SELECT * FROM unnest(levels, numbers, grow_log.hashes, keys)
    ON CONFLICT (level, number) DO UPDATE SET hashes = excluded.hashes;
    RETURN true;
END $$;

-- Keeps a checkpoint: the last of each hour for ever.
CREATE FUNCTION keep_checkpoint(signed bigint, text_of_note text) RETURNS void
LANGUAGE sql SECURITY DEFINER AS $$
    INSERT INTO checkpoints (hour, size, note, signed_time)
    VALUES (date_trunc('hour', clock_timestamp()), signed, text_of_note, clock_timestamp())
    ON CONFLICT (hour) DO UPDATE
    SET size = excluded.size, note = excluded.note, signed_time = excluded.signed_time
    WHERE checkpoints.size <= excluded.size
$$;

REVOKE ALL ON FUNCTION grow_log(bigint, bigint, smallint[], bigint[], bytea[], bytea[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION keep_checkpoint(bigint, text) FROM PUBLIC;

-- Personal parts of events' data are stored enciphered, each subject's under a key of its own. Who
-- deletes the key makes all of it unreadable, and no leaf of the tree changes.
CREATE TABLE subject_keys (
    id text COLLATE "C" PRIMARY KEY,
    subject text COLLATE "C" NOT NULL UNIQUE,
    key bytea NOT NULL CHECK (length(key) = 32),
    create_time timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE subject_keys IS 'AES-256 keys of the personal parts of events. A row that is deleted erases what its key enciphered.';
COMMENT ON COLUMN subject_keys.id IS 'What stands in the events: random, and says nothing of whom.';
CREATE TRIGGER no_change BEFORE UPDATE ON subject_keys FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON subject_keys FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The key of a subject, made if there is none; `made_id` and `made_key` are random.
CREATE FUNCTION find_subject_key(of_subject text, made_id text, made_key bytea, OUT id text, OUT key bytea)
LANGUAGE plpgsql SECURITY DEFINER AS $$
#variable_conflict use_column
BEGIN
    LOOP  -- Somebody else may make or erase it between the two.
        SELECT k.id, k.key INTO id, key FROM subject_keys AS k WHERE k.subject = of_subject;
        EXIT WHEN FOUND;
        INSERT INTO subject_keys (id, subject, key) VALUES (made_id, of_subject, made_key)
        ON CONFLICT (subject) DO NOTHING;
    END LOOP;
END $$;
REVOKE ALL ON FUNCTION find_subject_key(text, text, bytea) FROM PUBLIC;

-- Which events were deleted because their time had come, and the position of the event that says so.
CREATE TABLE pruned (
    first bigint PRIMARY KEY,
    last bigint NOT NULL CHECK (last >= first),
    record bigint NOT NULL,
    EXCLUDE USING gist (int8range(first, last, '[]') WITH &&)
);
COMMENT ON TABLE pruned IS 'Positions whose events were pruned; their hashes are still in the tree.';
CREATE TRIGGER no_change BEFORE UPDATE OR DELETE ON pruned FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON pruned FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Only events that are said to be pruned can be deleted.
CREATE FUNCTION refuse_deletion() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT last FROM pruned WHERE first <= OLD.position ORDER BY first DESC LIMIT 1) >= OLD.position THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'the ledger only grows: % of % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$;
DROP TRIGGER no_change ON events;
CREATE TRIGGER no_change BEFORE UPDATE ON events FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER no_deletion BEFORE DELETE ON events FOR EACH ROW EXECUTE FUNCTION refuse_deletion();

-- The last position recorded by a time, as in 0004, but that there may be no event at a position: those
-- that were pruned say nothing, and count as if they had been recorded with the one before them.
CREATE OR REPLACE FUNCTION position_recorded(at timestamptz) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    low bigint := 0;
    high bigint;
    middle bigint;
    found_position bigint;
    found_time timestamptz;
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
        SELECT position, recorded_time INTO found_position, found_time
        FROM events WHERE position <= middle ORDER BY position DESC LIMIT 1;
        IF found_time > at THEN
            high := found_position - 1;
        ELSE
            low := middle;
        END IF;
    END LOOP;
    RETURN low;
END $$;

DO $$
DECLARE
    function text;
BEGIN
    -- They run with their owner's rights, or in anybody's statement: they must not find others' tables.
    FOREACH function IN ARRAY ARRAY['only_grow', 'grow_log', 'keep_checkpoint', 'find_subject_key', 'refuse_deletion', 'position_recorded'] LOOP
        EXECUTE format('ALTER FUNCTION %I SET search_path = %I, pg_temp', function, current_schema());
    END LOOP;
END $$;
