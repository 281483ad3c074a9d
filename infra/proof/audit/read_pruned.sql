-- Which positions are marked as pruned, and the position of the event that says so.
SELECT first, last, record FROM pruned ORDER BY first
