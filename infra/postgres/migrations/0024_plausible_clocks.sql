-- append records nothing while the server's clock is more than a day ahead both of the last event and of
-- the writer's clock: recorded times never run backwards, so one event of a wrong time would stay ahead.
-- The first of new_events tells the writer's clock as `clock`, in seconds; without it, any time is taken.
--
-- The rule costs nothing while events come every day: append is changed by its text, whatever else was
-- changed in it.
DO $$
DECLARE
    body text := pg_get_functiondef('append(integer, json, text[], json, json)'::regprocedure);
    old_text CONSTANT text := 'recorded_time = greatest(recorded_time, now) WHERE one
    RETURNING head.size, head.recorded_time INTO STRICT append.size, append.recorded_time;';
    new_text CONSTANT text := 'recorded_time = greatest(recorded_time, now)
    WHERE one AND now < head.recorded_time + interval ''1 day''
    RETURNING head.size, head.recorded_time INTO append.size, append.recorded_time;
    IF NOT FOUND THEN
        IF now > to_timestamp((new_events -> 0 ->> ''clock'')::float8) + interval ''1 day'' THEN
            RAISE datetime_field_overflow USING CONSTRAINT = ''plausible_clock'', MESSAGE = format(
                ''the servers clock says %s, more than a day after this machines'',
                date_trunc(''second'', now));
        END IF;
        UPDATE head SET size = size + append.count, recorded_time = greatest(recorded_time, now) WHERE one
        RETURNING head.size, head.recorded_time INTO STRICT append.size, append.recorded_time;
    END IF;';
BEGIN
    IF cardinality(string_to_array(body, old_text)) <> 2 THEN
        RAISE EXCEPTION 'append has not what is to be changed in it: %', old_text;
    END IF;
    EXECUTE replace(body, old_text, new_text);
END $$;
