-- Samples predictions of a job; `sampled` is null if its state is one in which none are.
SELECT state, sampled, repeated, beyond_count
FROM record_samples(%s, %s, %s, %s, %s::json, %s::json, %s, %s)
