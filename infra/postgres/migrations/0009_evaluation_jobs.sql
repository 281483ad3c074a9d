-- What evaluation jobs work with beside their events: what was sampled of a model version's
-- predictions, what people answered, and the evaluations that came of it.
--
-- Rows are only added. Which samples a run took follows from its RunStarted alone (numbers after
-- the last run's cut up to its own), so there is nothing here that could disagree with the events.

-- In the shape of Data Labeling's BigQuery table; JSON as it was given.
CREATE TABLE samples (
    job text COLLATE "C" NOT NULL,
    number integer NOT NULL CHECK (number > 0),
    key bytea NOT NULL CHECK (octet_length(key) = 32),
    model text NOT NULL,
    model_version text NOT NULL,
    time timestamptz NOT NULL,
    raw_data text NOT NULL,
    raw_prediction text NOT NULL,
    groundtruth text,
    recorded_time timestamptz NOT NULL,
    PRIMARY KEY (job, number)
);
CREATE UNIQUE INDEX samples_by_key ON samples (job, key);
COMMENT ON TABLE samples IS 'Predictions that were sampled, numbered within their job, from 1 without gaps.';
COMMENT ON COLUMN samples.key IS 'SHA-256 of the example''s key: no example is sampled twice for a job.';
COMMENT ON COLUMN samples.groundtruth IS 'What is true of it, as JSON; null as long as nobody told. Never changed once told.';

CREATE TABLE spoilt_predictions (
    job text COLLATE "C" NOT NULL,
    number integer NOT NULL,
    time timestamptz NOT NULL,
    raw_data text NOT NULL,
    raw_prediction text NOT NULL,
    groundtruth text,
    why text NOT NULL,
    recorded_time timestamptz NOT NULL,
    PRIMARY KEY (job, number)
);
COMMENT ON TABLE spoilt_predictions IS 'Predictions that could not be sampled, each with the reason, in words.';

-- What became of all predictions that were recorded of a job; its row is the lock of who samples.
CREATE TABLE sampling (
    job text COLLATE "C" PRIMARY KEY,
    sampled integer NOT NULL DEFAULT 0,
    repeated bigint NOT NULL DEFAULT 0,
    passed_over bigint NOT NULL DEFAULT 0,
    beyond_count bigint NOT NULL DEFAULT 0,
    spoilt integer NOT NULL DEFAULT 0
);
COMMENT ON COLUMN sampling.sampled IS 'The number of the last sample.';
COMMENT ON COLUMN sampling.repeated IS 'Examples that were sampled before.';
COMMENT ON COLUMN sampling.passed_over IS 'Left out by exampleSamplePercentage.';
COMMENT ON COLUMN sampling.beyond_count IS 'Left out because the interval had its exampleCount.';

CREATE TABLE answers (
    job text COLLATE "C" NOT NULL,
    run integer NOT NULL,
    sample integer NOT NULL,
    annotator text COLLATE "C" NOT NULL,
    answer text NOT NULL,
    time timestamptz NOT NULL,
    PRIMARY KEY (job, run, sample, annotator)
);
COMMENT ON TABLE answers IS 'What people answered of a run''s samples, once each, as JSON.';

CREATE TABLE evaluations (
    job text COLLATE "C" NOT NULL,
    run integer NOT NULL,
    dataset text COLLATE "C" NOT NULL,
    create_time timestamptz NOT NULL,
    evaluations text NOT NULL,
    PRIMARY KEY (job, run)
);
CREATE INDEX evaluations_of_dataset ON evaluations (dataset);
COMMENT ON COLUMN evaluations.evaluations IS 'Data Labeling''s Evaluations, a JSON array: over all labels first, then one a label. Its SHA-256 is in the run''s EvaluationCreated.';

-- Mail that says an evaluation fell short; sent once its event is there, and again after a crash
-- in the middle of sending.
CREATE TABLE alert_mails (
    job text COLLATE "C" NOT NULL,
    run integer NOT NULL,
    sent_time timestamptz,
    PRIMARY KEY (job, run)
);
CREATE INDEX alert_mails_to_send ON alert_mails (job, run) WHERE sent_time IS NULL;

CREATE TABLE annotation_spec_sets (
    name text COLLATE "C" PRIMARY KEY,
    display_name text NOT NULL,
    description text NOT NULL,
    specs json NOT NULL,
    create_time timestamptz NOT NULL,
    delete_time timestamptz
);
COMMENT ON COLUMN annotation_spec_sets.specs IS 'Its annotationSpecs: displayName, description and index of each label.';

DO $$
DECLARE
    of_rows text;
BEGIN
    FOREACH of_rows IN ARRAY ARRAY['spoilt_predictions', 'answers', 'evaluations'] LOOP
        EXECUTE format(
            'CREATE TRIGGER no_change BEFORE UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION refuse_change()', of_rows
        );
    END LOOP;
    FOREACH of_rows IN ARRAY ARRAY['samples', 'spoilt_predictions', 'answers', 'evaluations'] LOOP
        EXECUTE format(
            'CREATE TRIGGER no_truncate BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', of_rows
        );
    END LOOP;
END $$;
CREATE TRIGGER no_change BEFORE DELETE OR UPDATE OF
    job, number, key, model, model_version, time, raw_data, raw_prediction, recorded_time ON samples
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER told_once BEFORE UPDATE ON samples
    FOR EACH ROW WHEN (OLD.groundtruth IS NOT NULL) EXECUTE FUNCTION refuse_change();

-- Samples predictions of one job: those that were not sampled before, in their order, as long as the
-- interval has room. `state` is the job's, null if there is none; unless it is one in which
-- predictions are sampled, nothing is done.
--
-- ready: [{n, key (hex, each another one), time, data, prediction, truth}], n in their order;
-- aside: [{n from 1, time, data, prediction, truth, why}].
-- Numbers are given out under the row's lock, so that the last number anybody can read has none
-- before it that is still to be committed.
CREATE FUNCTION record_samples(
    of text, most integer, model_ text, version_ text, ready json, aside json,
    passed_over_ integer, repeated_ integer,
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
    IF state IS NULL OR state NOT IN ('QUEUED', 'PENDING', 'RUNNING', 'UPDATING') THEN
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

-- Tells what is true of samples that no run took yet. Each of `keys` becomes of one of these: told,
-- repeated (it was told just so), unknown, taken (a run has it), differs (something else was told).
CREATE FUNCTION record_truths(of text, keys bytea[], truths text[]) RETURNS text[]
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    outcomes text[] := '{}';
    sample samples;
    cut integer;
BEGIN
    -- So that no run starts on samples of which this still tells.
    INSERT INTO sampling (job) VALUES (of) ON CONFLICT (job) DO NOTHING;
    UPDATE sampling AS s SET sampled = s.sampled WHERE s.job = of COLLATE "C";
    SELECT coalesce((j.output #>> '{lastRun,cut}')::integer, 0) INTO cut FROM jobs AS j WHERE j.name = of COLLATE "C";
    FOR i IN 1 .. cardinality(keys) LOOP
        SELECT * INTO sample FROM samples AS s WHERE s.job = of COLLATE "C" AND s.key = keys[i];
        outcomes := outcomes || CASE
            WHEN sample.job IS NULL THEN 'unknown'
            WHEN sample.groundtruth = truths[i] THEN 'repeated'
            WHEN sample.number <= cut THEN 'taken'
            WHEN sample.groundtruth IS NOT NULL THEN 'differs'
            ELSE 'told'
        END;
        IF outcomes[i] = 'told' THEN
            UPDATE samples AS s SET groundtruth = truths[i] WHERE s.job = of COLLATE "C" AND s.number = sample.number;
        END IF;
    END LOOP;
    RETURN outcomes;
END $$;

-- Keeps answers of one person to questions of a run. Each becomes of one of these: kept, repeated (just
-- that was answered before), twice (they answered otherwise before), full (enough others did).
CREATE FUNCTION record_answers(of text, of_run integer, who text, replicas integer, of_samples integer[], said text[])
RETURNS text[]
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    outcomes text[] := '{}';
    before text;
BEGIN
    -- Whoever else answers waits: nobody is to be one too many.
    INSERT INTO sampling (job) VALUES (of) ON CONFLICT (job) DO NOTHING;
    UPDATE sampling AS s SET sampled = s.sampled WHERE s.job = of COLLATE "C";
    FOR i IN 1 .. cardinality(of_samples) LOOP
        before := (SELECT a.answer FROM answers AS a WHERE a.job = of COLLATE "C" AND a.run = of_run
                   AND a.sample = of_samples[i] AND a.annotator = who COLLATE "C");
        outcomes := outcomes || CASE
            WHEN before = said[i] THEN 'repeated'
            WHEN before IS NOT NULL THEN 'twice'
            WHEN (SELECT count(*) FROM answers AS a WHERE a.job = of COLLATE "C" AND a.run = of_run
                  AND a.sample = of_samples[i]) >= replicas THEN 'full'
            ELSE 'kept'
        END;
        IF outcomes[i] = 'kept' THEN
            INSERT INTO answers (job, run, sample, annotator, answer, time)
            VALUES (of, of_run, of_samples[i], who, said[i], clock_timestamp());
        END IF;
    END LOOP;
    RETURN outcomes;
END $$;

-- The number of a job's last sample, once all who were sampling it or telling truths are done.
CREATE FUNCTION settle_samples(of text) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    last integer;
BEGIN
    UPDATE sampling AS s SET sampled = s.sampled WHERE s.job = of COLLATE "C" RETURNING s.sampled INTO last;
    RETURN coalesce(last, 0);
END $$;

-- Keeps what a run found, once, however often it is worked out; `short`: it is to be told by mail.
CREATE FUNCTION keep_evaluations(of text, of_run integer, of_dataset text, at timestamptz, made text, short boolean DEFAULT false)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO evaluations (job, run, dataset, create_time, evaluations)
    VALUES (of, of_run, of_dataset, at, made)
    ON CONFLICT (job, run) DO NOTHING;
    IF FOUND AND short THEN
        INSERT INTO alert_mails (job, run) VALUES (of, of_run);
    END IF;
END $$;

CREATE FUNCTION mail_sent(of text, of_run integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    UPDATE alert_mails AS m SET sent_time = clock_timestamp()
    WHERE m.job = of COLLATE "C" AND m.run = of_run AND m.sent_time IS NULL;
END $$;

-- False if there is such a set already.
CREATE FUNCTION keep_spec_set(name_ text, display text, about text, specs_ json) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO annotation_spec_sets (name, display_name, description, specs, create_time)
    VALUES (name_, display, about, specs_, clock_timestamp())
    ON CONFLICT (name) DO NOTHING;
    RETURN FOUND;
END $$;

-- False if there is no such set.
CREATE FUNCTION delete_spec_set(name_ text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    UPDATE annotation_spec_sets AS s SET delete_time = clock_timestamp() WHERE s.name = name_ COLLATE "C" AND s.delete_time IS NULL;
    RETURN FOUND;
END $$;

-- They run with their owner's rights, so they must not find anybody else's tables, and only those
-- whom the ledger was granted to may call them.
DO $$
DECLARE
    made regprocedure;
BEGIN
    FOR made IN
        SELECT p.oid::regprocedure FROM pg_proc AS p
        WHERE p.pronamespace = current_schema()::regnamespace AND p.proname IN (
            'record_samples', 'record_truths', 'record_answers', 'settle_samples',
            'keep_evaluations', 'mail_sent', 'keep_spec_set', 'delete_spec_set'
        )
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', made, current_schema());
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', made);
    END LOOP;
END $$;
