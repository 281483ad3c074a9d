-- The log itself: one row an event, positions without gaps in the order of commits.
-- Names are unqualified: the connection's search_path says which ledger.

-- One row: how many events there are, and when the last was recorded.
-- Every writer updates it first, and so waits for the writer before it to commit.
CREATE TABLE head (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    size bigint NOT NULL,
    recorded_time timestamptz NOT NULL
) WITH (fillfactor = 10);
INSERT INTO head (size, recorded_time) VALUES (0, '-infinity');

-- Schema 0 marks an event of another aggregate than a job, whose data may be any bytes.
CREATE TABLE events (
    position bigint PRIMARY KEY CHECK (position > 0),
    recorded_time timestamptz NOT NULL,
    occurred_time timestamptz,
    version integer NOT NULL CHECK (version >= 0),
    schema smallint NOT NULL CHECK (schema >= 0),
    type text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    data bytea NOT NULL,
    actor text,
    request_id text COLLATE "C",
    trace_parent text COLLATE "C",
    CONSTRAINT events_version UNIQUE (name, version)
);
CREATE INDEX events_request ON events (request_id) WHERE request_id IS NOT NULL;

COMMENT ON TABLE events IS 'What happened, for ever: never updated, never deleted.';
COMMENT ON COLUMN events.position IS 'Place in the ledger, from 1, without gaps, in commit order.';
COMMENT ON COLUMN events.version IS 'Place in the job, from 1, without gaps.';
COMMENT ON COLUMN events.occurred_time IS 'When it happened, as its reporter says.';
COMMENT ON COLUMN events.recorded_time IS 'When the ledger took it in; never runs backwards along positions.';
COMMENT ON COLUMN events.data IS 'Canonical JSON (RFC 8785), exactly as it was written.';

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger only grows: % of % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER no_change BEFORE UPDATE OR DELETE ON events
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Events as people read them in SQL; what is no JSON shows as null.
CREATE VIEW history AS
SELECT position, name, version, type, schema, occurred_time, recorded_time,
       actor, request_id, trace_parent,
       CASE WHEN schema > 0 THEN convert_from(data, 'UTF8')::json END AS data
FROM events;

-- Which projections there are, and which version of each.
CREATE TABLE projections (
    name text COLLATE "C" PRIMARY KEY,
    version integer NOT NULL
);

-- How far a file was imported: a digest of its first `rows` rows, so that
-- importing it again, or more of it, adds only what is new.
CREATE TABLE imports (
    project text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    digest bytea NOT NULL,
    rows bigint NOT NULL CHECK (rows > 0),
    file text NOT NULL,
    PRIMARY KEY (project, kind, digest)
);

-- For eventsourcing: where each projection of an application stands, and snapshots.
CREATE TABLE tracking (
    application_name text COLLATE "C" PRIMARY KEY,
    notification_id bigint NOT NULL
);
