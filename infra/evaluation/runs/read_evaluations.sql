-- What a run found, as JSON.
SELECT evaluations FROM evaluations WHERE job = %s AND run = %s
