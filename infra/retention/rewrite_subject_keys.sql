-- Writes the remaining keys to a new file, so that the old file with the deleted keys is removed.
VACUUM (FULL) subject_keys
