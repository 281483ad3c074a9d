-- Functions that took a row of a table take its columns: a ledger on one node of several (Citus) has its rows
-- in tables of other names, and so of other types.

-- What an event says of a set: SHA-256 over all of it, in hexadecimal.
CREATE FUNCTION spec_set_digest(name_ text, display text, about text, specs_ json, created timestamptz) RETURNS text
STABLE LANGUAGE sql AS $$
    SELECT encode(sha256(convert_to(json_build_array(
        name_, display, about, specs_, to_char(created AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US')
    )::text, 'UTF8')), 'hex')
$$;
COMMENT ON FUNCTION spec_set_digest(text, text, text, json, timestamptz) IS
    'Returns SHA-256 of an annotation spec set, in hexadecimal.';

CREATE FUNCTION may_record(stream text, schema smallint, type text, data bytea) RETURNS boolean
STABLE LANGUAGE sql AS $$
    SELECT stream = 'ledger/annotationSpecSets' AND may_record.schema = 0 AND EXISTS (
        SELECT FROM annotation_spec_sets AS s,
                    LATERAL (SELECT convert_from(may_record.data, 'UTF8')::json AS said) AS e
        WHERE s.name = e.said ->> 'name' COLLATE "C" AND CASE may_record.type
            WHEN 'AnnotationSpecSetCreated'
            THEN spec_set_digest(s.name, s.display_name, s.description, s.specs, s.create_time) = e.said ->> 'digest'
            WHEN 'AnnotationSpecSetDeleted' THEN s.delete_time IS NOT NULL
        END
    )
$$;
COMMENT ON FUNCTION may_record(text, smallint, text, bytea) IS
    'Whether a granted role may write an event of the ledger''s own streams.';

CREATE OR REPLACE FUNCTION keep_spec_set(name_ text, display text, about text, specs_ json) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    now CONSTANT timestamptz := clock_timestamp();
BEGIN
    INSERT INTO annotation_spec_sets (name, display_name, description, specs, create_time)
    VALUES (name_, display, about, specs_, now)
    ON CONFLICT (name) DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM record_spec_set('AnnotationSpecSetCreated', format(
        '{"digest":"%s","name":%s}', spec_set_digest(name_, display, about, specs_, now), to_json(name_)
    ));
    RETURN true;
END $$;

-- only_grow takes the number off that the name of a table on a node ends with.
DO $$
DECLARE
    change record;
    body text;
    function text;
BEGIN
    FOR change IN
        SELECT * FROM (VALUES
            ('only_grow()', 'CASE TG_TABLE_NAME', 'CASE regexp_replace(TG_TABLE_NAME, ''_[0-9]+$'', '''')'),
            ('check_granted(bigint, bigint)', 'may_record(e)', 'may_record(e.name, e.schema, e.type, e.data)')
        ) AS c (function, old_text, new_text)
    LOOP
        body := pg_get_functiondef(change.function::regprocedure);
        IF cardinality(string_to_array(body, change.old_text)) <> 2 THEN
            RAISE EXCEPTION '% has not what is to be changed in it: %', change.function, change.old_text;
        END IF;
        EXECUTE replace(body, change.old_text, change.new_text);
    END LOOP;
    DROP FUNCTION may_record(events);
    DROP FUNCTION spec_set_digest(annotation_spec_sets);
    -- They run with their owner's rights: they must not find others' tables.
    FOREACH function IN ARRAY ARRAY['spec_set_digest', 'may_record', 'keep_spec_set'] LOOP
        EXECUTE format('ALTER FUNCTION %I SET search_path = %I, pg_temp', function, current_schema());
    END LOOP;
END $$;
