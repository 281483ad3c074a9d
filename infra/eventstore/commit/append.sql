-- Writes one batch; see migrations/0003_places.sql.
-- $1 integer how many events, $2 json events, $3 text[] request ids or null,
-- $4 json new jobs or null, $5 json changed jobs or null
SELECT size, recorded_time FROM append($1, $2, $3, $4, $5)
