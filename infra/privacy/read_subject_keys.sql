-- Keys of personal parts by their ids; those that were erased are not there. Carried by subject_keys_pkey.
SELECT id, key FROM subject_keys WHERE id = ANY (%s)
