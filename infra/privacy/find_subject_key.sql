-- A subject's key, made of these random values if there is none; see migrations/0008.
SELECT id, key FROM find_subject_key(%s, %s, %s)
