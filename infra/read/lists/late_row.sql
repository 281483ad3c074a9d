-- A job of which something changed since, and whose reports came late: its events took effect in another order.
UNION ALL
SELECT * FROM job_row_as_it_happened(j.name, %(position)s, %(time)s)
WHERE (j.last_position > %(position)s OR j.update_time > %(time)s) AND NOT {in_order}
