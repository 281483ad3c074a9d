-- The outcomes of all predictions of a job.
SELECT sampled, repeated, passed_over, beyond_count, spoilt FROM sampling WHERE job = %s
