-- Folds the events at these positions into jobs; see projections/jobs/fold.sql.
SELECT fold_jobs(%s, %s)
