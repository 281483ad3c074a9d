-- How far the log of a followed source was copied.
SELECT lsn::text FROM attachments WHERE job = %s AND source = %s
