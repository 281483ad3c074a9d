-- Which positions are said to be pruned, and the position of the event that says so.
SELECT first, last, record FROM pruned ORDER BY first
