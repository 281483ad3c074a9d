-- Records the ground truth of samples, by their keys.
SELECT record_truths(%s, %s::bytea[], %s::text[])
