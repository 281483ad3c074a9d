-- Ranges of positions after one and up to another whose events were pruned.
SELECT greatest(first, %(after)s + 1), least(last, %(until)s) FROM pruned
WHERE last > %(after)s AND first <= %(until)s ORDER BY first LIMIT %(limit)s
