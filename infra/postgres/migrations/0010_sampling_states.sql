-- record_samples as in 0009, but that the caller passes the states in which predictions are sampled:
-- which they are follows from the lifecycle table in domain/states.py, and is decided nowhere else.
--
-- ready: [{n, key (hex, each another one), time, data, prediction, truth}], n in their order;
-- aside: [{n from 1, time, data, prediction, truth, why}].
-- Numbers are given out under the row's lock, so that no number is visible while one before it can
-- still be rolled back.
DROP FUNCTION record_samples(text, integer, text, text, json, json, integer, integer);
CREATE FUNCTION record_samples(
    of text, most integer, model_ text, version_ text, ready json, aside json,
    passed_over_ integer, repeated_ integer, sampled_in text[],
    OUT state text, OUT sampled integer, OUT repeated integer, OUT beyond_count integer
)
LANGUAGE plpgsql SECURITY DEFINER
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    now CONSTANT timestamptz := clock_timestamp();
    last integer;
    spoilt_before integer;
    cut integer;
    unheard integer;
BEGIN
    INSERT INTO sampling (job) VALUES (of) ON CONFLICT (job) DO NOTHING;
    UPDATE sampling AS s SET sampled = s.sampled WHERE s.job = of COLLATE "C"
    RETURNING s.sampled, s.spoilt INTO STRICT last, spoilt_before;
    SELECT CASE WHEN j.delete_time IS NULL THEN j.state END, coalesce((j.output #>> '{lastRun,cut}')::integer, 0)
    INTO state, cut FROM jobs AS j WHERE j.name = of COLLATE "C";
    IF state IS NULL OR state <> ALL (sampled_in) THEN
        RETURN;
    END IF;
    WITH given AS (
        SELECT g.n, decode(g.key, 'hex') AS key, g.time, g.data, g.prediction, g.truth
        FROM json_to_recordset(ready) AS g (n integer, key text, time timestamptz, data json, prediction json, truth json)
    ),
    fresh AS MATERIALIZED (
        SELECT given.*, row_number() OVER (ORDER BY n)::integer AS place
        FROM given
        -- A scalar, and not EXISTS, which the planner may hash: it would read the whole index.
        WHERE (SELECT s.number FROM samples AS s WHERE s.job = of COLLATE "C" AND s.key = given.key) IS NULL
    ),
    taken AS (
        INSERT INTO samples (job, number, key, model, model_version, time, raw_data, raw_prediction, groundtruth, recorded_time)
        SELECT of, last + place, key, model_, version_, time, data::text, prediction::text, truth::text, now
        FROM fresh WHERE place <= greatest(most - (last - cut), 0)
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM taken), (SELECT count(*) FROM fresh) INTO sampled, unheard;
    repeated := json_array_length(ready) - unheard + repeated_;
    beyond_count := unheard - sampled;
    INSERT INTO spoilt_predictions (job, number, time, raw_data, raw_prediction, groundtruth, why, recorded_time)
    SELECT of, spoilt_before + a.n, a.time, coalesce(a.data::text, 'null'), coalesce(a.prediction::text, 'null'), a.truth::text, a.why, now
    FROM json_to_recordset(aside) AS a (n integer, time timestamptz, data json, prediction json, truth json, why text);
    UPDATE sampling AS s SET
        sampled = s.sampled + record_samples.sampled, repeated = s.repeated + record_samples.repeated,
        passed_over = s.passed_over + passed_over_, beyond_count = s.beyond_count + record_samples.beyond_count,
        spoilt = s.spoilt + json_array_length(aside)
    WHERE s.job = of COLLATE "C";
END $$;

-- It runs with its owner's rights, so it must not find anybody else's tables.
DO $$ BEGIN
    EXECUTE format('ALTER FUNCTION record_samples SET search_path = %I, pg_temp', current_schema());
END $$;
REVOKE ALL ON FUNCTION record_samples FROM PUBLIC;
