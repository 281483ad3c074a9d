-- All answers of a run, as given.
SELECT sample, annotator, answer, time FROM answers
WHERE job = %s AND run = %s
ORDER BY sample, annotator
