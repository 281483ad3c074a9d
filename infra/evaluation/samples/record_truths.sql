-- Tells what is true of samples, by their keys.
SELECT record_truths(%s, %s::bytea[], %s::text[])
