-- Annotation spec sets are recorded: an event says the digest of each that is made, and which was deleted, so
-- that verification can tell a row that was changed.

-- What an event says of a set: SHA-256 over all of it, in hex.
CREATE FUNCTION spec_set_digest(spec_set annotation_spec_sets) RETURNS text STABLE LANGUAGE sql AS $$
    SELECT encode(sha256(convert_to(json_build_array(
        spec_set.name, spec_set.display_name, spec_set.description, spec_set.specs,
        to_char(spec_set.create_time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US')
    )::text, 'UTF8')), 'hex')
$$;

-- Records something of a set, in the transaction that does it. Only the functions below call it.
CREATE FUNCTION record_spec_set(what text, said text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    stream CONSTANT text := 'ledger/annotationSpecSets';
BEGIN
    PERFORM lock_head();
    PERFORM append(1, json_build_array(json_build_object(
        'n', 0, 'name', stream, 'schema', 0, 'type', what, 'data', said, 'first', true,
        'version', (SELECT coalesce(max(version), 0) + 1 FROM events WHERE name = stream COLLATE "C")
    )), NULL, NULL, NULL);
END $$;

-- False if there is such a set already.
CREATE OR REPLACE FUNCTION keep_spec_set(name_ text, display text, about text, specs_ json) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    made annotation_spec_sets;
BEGIN
    INSERT INTO annotation_spec_sets (name, display_name, description, specs, create_time)
    VALUES (name_, display, about, specs_, clock_timestamp())
    ON CONFLICT (name) DO NOTHING
    RETURNING * INTO made;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM record_spec_set('AnnotationSpecSetCreated', format('{"digest":"%s","name":%s}', spec_set_digest(made), to_json(name_)));
    RETURN true;
END $$;

-- False if there is no such set.
CREATE OR REPLACE FUNCTION delete_spec_set(name_ text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    UPDATE annotation_spec_sets AS s SET delete_time = clock_timestamp() WHERE s.name = name_ COLLATE "C" AND s.delete_time IS NULL;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM record_spec_set('AnnotationSpecSetDeleted', format('{"name":%s}', to_json(name_)));
    RETURN true;
END $$;

-- A granted role may record of a set what is so: the functions above do.
CREATE OR REPLACE FUNCTION may_record(event events) RETURNS boolean STABLE LANGUAGE sql AS $$
    SELECT event.name = 'ledger/annotationSpecSets' AND event.schema = 0 AND EXISTS (
        SELECT FROM annotation_spec_sets AS s, LATERAL (SELECT convert_from(event.data, 'UTF8')::json AS said) AS e
        WHERE s.name = e.said ->> 'name' COLLATE "C" AND CASE event.type
            WHEN 'AnnotationSpecSetCreated' THEN spec_set_digest(s) = e.said ->> 'digest'
            WHEN 'AnnotationSpecSetDeleted' THEN s.delete_time IS NOT NULL
        END
    )
$$;

DO $$
DECLARE
    function text;
BEGIN
    -- They run with their owner's rights: they must not find others' tables.
    FOREACH function IN ARRAY ARRAY['spec_set_digest', 'record_spec_set', 'may_record', 'keep_spec_set', 'delete_spec_set'] LOOP
        EXECUTE format('ALTER FUNCTION %I SET search_path = %I, pg_temp', function, current_schema());
    END LOOP;
END $$;
