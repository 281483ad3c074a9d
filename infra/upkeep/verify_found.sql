-- What a run found, as it is shown.
SELECT dataset, create_time, evaluations FROM evaluations WHERE job = %s AND run = %s
