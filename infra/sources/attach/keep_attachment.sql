-- Keeps how far the log of a followed source was copied.
SELECT keep_attachment(%s, %s, %s::pg_lsn)
