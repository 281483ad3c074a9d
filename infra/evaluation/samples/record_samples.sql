-- Samples predictions of a job; `sampled` is null if its state is none of the last parameter.
SELECT state, sampled, repeated, beyond_count
FROM record_samples(%s, %s, %s, %s, %s::json, %s::json, %s, %s, %s::text[])
