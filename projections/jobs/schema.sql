-- jobs: the current state of each job, one row a job, kept in the transaction that writes its events.
-- Derived from events alone; `jobledger rebuild jobs` makes it again from nothing.

CREATE TABLE jobs (
    name text COLLATE "C" NOT NULL PRIMARY KEY,
    project text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    state text COLLATE "C",
    version integer NOT NULL,
    attempt integer NOT NULL,
    create_time timestamptz,
    start_time timestamptz,
    end_time timestamptz,
    update_time timestamptz,
    -- When its last event took effect; null if that is update_time, as it is but for contradicted reports.
    effective_time timestamptz,
    delete_time timestamptz,
    error json,
    error_message text,
    labels jsonb NOT NULL,
    spec json NOT NULL,
    output json,
    etag text COLLATE "C" NOT NULL,
    first_position bigint NOT NULL,
    last_position bigint NOT NULL,
    -- Text and nulls; see Job.run_ids. Null where no attempt was ever named.
    run_ids json,
    -- What was reported of the jobs it belongs to; null if nothing was.
    lineage jsonb
) WITH (fillfactor = 80);
CREATE INDEX jobs_created ON jobs (coalesce(create_time, '-infinity') DESC, name);
CREATE INDEX jobs_evaluating ON jobs (name) WHERE kind = 'evaluationJobs';
-- Without it in lineage, a spec may name parents.
CREATE INDEX jobs_parents ON jobs USING gin (coalesce(lineage -> 'parents', (spec -> 'parents')::jsonb) jsonb_path_ops)
    WHERE coalesce(lineage -> 'parents', (spec -> 'parents')::jsonb) IS NOT NULL;
CREATE INDEX jobs_labels ON jobs USING gin (labels jsonb_path_ops);
