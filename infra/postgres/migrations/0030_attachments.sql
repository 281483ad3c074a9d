-- How far the log of each followed source was copied. The ledger keeps that before the source may remove a part of
-- its log: a slot that is further than its row shows that the ledger was restored to an earlier moment.

CREATE TABLE attachments (
    job text COLLATE "C" NOT NULL,
    source text COLLATE "C" NOT NULL,
    lsn pg_lsn NOT NULL,
    PRIMARY KEY (job, source)
) WITH (fillfactor = 50);
COMMENT ON TABLE attachments IS 'How far the log of each followed source was copied, one row for each slot.';
COMMENT ON COLUMN attachments.job IS 'The attachment''s job, as projects/P/jobs/attach.SLOT.';
COMMENT ON COLUMN attachments.source IS 'The system identifier of the source''s server.';
COMMENT ON COLUMN attachments.lsn IS 'The place in the source''s log up to which its changes are recorded.';

CREATE FUNCTION keep_attachment(of text, of_source text, copied pg_lsn) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF of !~ '^projects/[^/]+/jobs/attach\.' OR of IS NULL OR length(of_source) NOT BETWEEN 1 AND 64
    OR of_source IS NULL OR copied IS NULL THEN
        RAISE check_violation USING MESSAGE = 'an attachment is the job of a slot, with a place in its source''s log';
    END IF;
    INSERT INTO attachments (job, source, lsn) VALUES (of, of_source, copied)
    ON CONFLICT (job, source) DO UPDATE SET lsn = excluded.lsn;
END $$;
REVOKE EXECUTE ON FUNCTION keep_attachment(text, text, pg_lsn) FROM PUBLIC;
COMMENT ON FUNCTION keep_attachment(text, text, pg_lsn) IS 'Keeps how far the log of a followed source was copied.';

DO $$
BEGIN
    -- It runs with its owner's rights, so it must not find anybody else's tables.
    EXECUTE format('ALTER FUNCTION keep_attachment SET search_path = %I, pg_temp', current_schema());
END $$;
