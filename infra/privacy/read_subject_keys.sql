-- Keys of personal values by their ids, without erased ones. Carried by subject_keys_pkey.
SELECT id, key FROM subject_keys WHERE id = ANY (%s)
