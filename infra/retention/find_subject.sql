-- The id of a subject's key; carried by subject_keys_subject_key.
SELECT id FROM subject_keys WHERE subject = %s
