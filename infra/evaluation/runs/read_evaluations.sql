-- A run's evaluations, as JSON.
SELECT evaluations FROM evaluations WHERE job = %s AND run = %s
