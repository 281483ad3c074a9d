-- Writes one batch; see migrations/0002_append.sql.
-- $1 json events, $2 text[] request ids or null, $3 json new jobs or null, $4 json changed jobs or null
SELECT size, recorded_time FROM append($1, $2, $3, $4)
