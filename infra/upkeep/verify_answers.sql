-- All answers of a run, as a digest is made of them.
SELECT sample, annotator, answer::json FROM answers WHERE job = %s AND run = %s ORDER BY sample, annotator
