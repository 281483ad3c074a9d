-- Makes the functions of a ledger work where Citus has its tables on one node of several.

-- Folds all events into the rows of a projection again, in one transaction that writers wait for. A rebuild
-- cannot fold into tables of another schema there.
CREATE OR REPLACE FUNCTION refold(projection text, tables text[]) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    done bigint := 0;
    upto bigint;
    size bigint;
    "table" text;
BEGIN
    PERFORM lock_head();
    SELECT h.size FROM head AS h INTO STRICT size;
    FOREACH "table" IN ARRAY tables LOOP
        EXECUTE format('DELETE FROM %I', "table");
    END LOOP;
    WHILE done < size LOOP
        upto := least(done + 100000, size);
        EXECUTE format('SELECT %I($1, $2)', 'fold_' || projection) USING done + 1, upto;
        done := upto;
    END LOOP;
    UPDATE projections AS p SET position = size WHERE p.name = projection AND p.position IS NOT NULL;
    RETURN size;
END $$;
COMMENT ON FUNCTION refold IS 'Folds all events into the rows of a projection again, and returns how many.';

-- Citus plans each statement of a function by itself, which it cannot do in functions in SQL: those that read
-- tables become functions in PL/pgSQL. A statement that is sent to the node may call functions there, where
-- no search_path is set, and which may read tables of the same node: each function has these settings itself.
DO $$
DECLARE
    ledger CONSTANT regnamespace := current_schema()::regnamespace;
    tables CONSTANT text := (
        SELECT format('\m(%s)\M', string_agg(relname, '|')) FROM pg_class WHERE relnamespace = ledger AND relkind IN ('r', 'v')
    );
    function record;
    body text;
    gaps text;
BEGIN
    FOR function IN
        SELECT p.oid, prosrc, prorettype = 'void'::regtype AS gives_nothing, proretset
        FROM pg_proc AS p JOIN pg_language AS l ON l.oid = prolang
        WHERE pronamespace = ledger AND lanname = 'sql' AND prosqlbody IS NULL AND (prosrc ~ tables OR prosrc ~ '\mjob_row_')
    LOOP
        body := rtrim(function.prosrc, E' \n;');
        body := CASE WHEN function.gives_nothing THEN regexp_replace(body, '(^|;)(\s*)SELECT ', '\1\2PERFORM ', 'g')
                     WHEN function.proretset THEN 'RETURN QUERY ' || body
                     ELSE format('RETURN (%s)', body) END;
        EXECUTE replace(
            replace(pg_get_functiondef(function.oid), 'LANGUAGE sql', 'LANGUAGE plpgsql'), function.prosrc,
            format(E'\n#variable_conflict use_column\nBEGIN\n%s;\nEND ', body)
        );
    END LOOP;

    -- Citus cannot forward an INSERT of what it reads in the table as well: the gaps are looked for first.
    body := pg_get_functiondef('append(integer, json, text[], json, json)'::regprocedure);
    gaps := substring(body FROM 'WHERE e\.n BETWEEN 0 AND.*?IS NOT NULL\);');
    body := replace(replace(body, gaps, ';'), '    INSERT INTO events (', format($append$
    SELECT count(*) INTO STRICT written
    FROM json_to_recordset(new_events) AS e (n integer, name text, version integer, first boolean)
    %s
    IF written <> append.count THEN
        RAISE serialization_failure USING MESSAGE = 'a version would leave a gap';
    END IF;
    INSERT INTO events ($append$, gaps));
    EXECUTE body;

    -- It cannot forward an UPDATE of what windows say, either: each row is updated by itself.
    body := pg_get_functiondef('fold_late(text[], bigint)'::regprocedure);
    body := replace(replace(body, 'DECLARE', E'DECLARE\n    s record;'), 'WITH timed AS', 'FOR s IN WITH timed AS');
    EXECUTE regexp_replace(
        body, '(\n +UPDATE intervals AS i SET.*?)\s+FROM phased AS s (WHERE i\.position = s\.position;)',
        E'\n    SELECT * FROM phased LOOP\\1 \\2\n    END LOOP;'
    );

    FOR function IN
        SELECT p.oid::regprocedure AS name FROM pg_proc AS p WHERE pronamespace = ledger AND prosqlbody IS NULL
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', function.name, current_schema());
        EXECUTE format('ALTER FUNCTION %s SET citus.allow_nested_distributed_execution = on', function.name);
    END LOOP;
END $$;
