-- jobs_as_of refuses a time without a zone, which each session would read in its own.

-- The time that a text names together with its zone: an offset from UTC, UTC itself, or a zone of the IANA database.
CREATE FUNCTION zoned_time(at text) RETURNS timestamptz STABLE LANGUAGE plpgsql AS $$
BEGIN
    IF trim(at) IN ('now', 'infinity', '-infinity')
    OR at ~* '\d\s*(z|[+-]\d{2}(:?\d{2}){0,2}|\s(utc|gmt|[a-z_]+(/[a-z0-9_+-]+)+))\s*$' AND at ~ '\d{2}:\d{2}' THEN
        RETURN at::timestamptz;
    END IF;
    RAISE invalid_parameter_value USING
        MESSAGE = format('%L names no time zone', at),
        HINT = 'Write the zone behind a time of day, such as ''2026-06-03 12:00Z'', ''2026-06-03 12:00+02'''
               ' or ''2026-06-03 12:00 Europe/Berlin''.';
END $$;

CREATE FUNCTION refuse_unzoned(at text) RETURNS timestamptz STABLE LANGUAGE plpgsql AS $$
BEGIN
    RAISE invalid_parameter_value USING
        MESSAGE = format('%s names no time zone', at),
        HINT = 'Pass a timestamptz: at AT TIME ZONE ''UTC'' makes one of a timestamp in UTC.';
END $$;

DO $do$
DECLARE
    result CONSTANT text := pg_get_function_result('jobs_as_of(timestamptz)'::regprocedure);
    given text;
    reading text;
BEGIN
    FOR given, reading IN VALUES
        ('text', 'zoned_time(at)'), ('timestamp', 'refuse_unzoned(at::text)'), ('date', 'refuse_unzoned(at::text)')
    LOOP
        EXECUTE format(
            'CREATE FUNCTION jobs_as_of(at %1$s) RETURNS %2$s STABLE PARALLEL SAFE LANGUAGE sql'
            ' SET search_path = %3$I, pg_temp AS $$ SELECT * FROM jobs_as_of(%4$s) $$',
            given, result, current_schema(), reading
        );
        EXECUTE format(
            'COMMENT ON FUNCTION jobs_as_of(%s) IS %L', given,
            CASE given WHEN 'text' THEN 'Jobs as it happened up to that time, which names its zone.'
                       ELSE 'Refuses a time without a zone.' END
        );
    END LOOP;
    EXECUTE format('ALTER FUNCTION zoned_time(text) SET search_path = %I, pg_temp', current_schema());
    EXECUTE format('ALTER FUNCTION refuse_unzoned(text) SET search_path = %I, pg_temp', current_schema());
END $do$;
