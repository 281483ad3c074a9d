-- Who may use the ledger over the network, and as what: one row a bearer token, for ever.
--
-- A token's name is the actor of the events written with it. It is the key, so that it never
-- belongs to two secrets: what an event says of its actor stays true of the one that wrote it.
-- Of the secret only its SHA-256 is here. The secret is 256 random bits, so who may read the
-- hashes (whoever may read the events) can do nothing with them.
CREATE TABLE tokens (
    name text COLLATE "C" PRIMARY KEY,
    hash bytea NOT NULL UNIQUE CHECK (octet_length(hash) = 32),
    role text COLLATE "C" NOT NULL CHECK (role IN ('reader', 'reporter', 'operator', 'admin')),
    project text COLLATE "C",
    create_time timestamptz NOT NULL DEFAULT now(),
    created_by text,
    expire_time timestamptz,
    revoke_time timestamptz
);
COMMENT ON TABLE tokens IS 'Bearer tokens, also those that no longer serve: never deleted, and changed only by being revoked, once.';
COMMENT ON COLUMN tokens.name IS 'The actor of events written with it; never given out again.';
COMMENT ON COLUMN tokens.hash IS 'SHA-256 of the secret, which is kept nowhere.';
COMMENT ON COLUMN tokens.project IS 'The only project it serves for; null if it serves for all.';
COMMENT ON COLUMN tokens.created_by IS 'The user who made it, as their system knows them.';
COMMENT ON COLUMN tokens.expire_time IS 'From when on it no longer serves; null if it always does.';
COMMENT ON COLUMN tokens.revoke_time IS 'When it was revoked; null if it was not.';

CREATE TRIGGER no_change
    BEFORE DELETE OR UPDATE OF name, hash, role, project, create_time, created_by, expire_time ON tokens
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER no_return BEFORE UPDATE ON tokens
    FOR EACH ROW WHEN (OLD.revoke_time IS NOT NULL) EXECUTE FUNCTION refuse_change();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON tokens
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
