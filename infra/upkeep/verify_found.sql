-- A run's evaluations, as shown.
SELECT dataset, create_time, evaluations FROM evaluations WHERE job = %s AND run = %s
