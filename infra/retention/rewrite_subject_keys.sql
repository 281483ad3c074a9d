-- Puts the keys that are left into a new file, so that the old one, with those deleted, is gone.
VACUUM (FULL) subject_keys
