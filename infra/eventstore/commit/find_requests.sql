-- Which of these request ids were used, and for which job. Carried by events_request.
SELECT DISTINCT request_id, name FROM events WHERE request_id = ANY (%s)
