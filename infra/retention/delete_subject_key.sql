-- Erases a subject.
DELETE FROM subject_keys WHERE subject = %s RETURNING id
