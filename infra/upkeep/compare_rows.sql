-- Rows of a live table and of the rebuilt one: whether they are equal, and both if
-- not. The tables, their key and the columns they share are rendered (see rehearse.py).
SELECT same, CASE WHEN NOT same THEN was END, CASE WHEN NOT same THEN would_be END
FROM (
    SELECT ROW({was})::text = ROW({would_be})::text AS same,
           -- Distinct from NULL, as a row with a null in it is not IS NOT NULL.
           CASE WHEN live IS DISTINCT FROM NULL THEN to_json(live) END AS was,
           CASE WHEN rebuilt IS DISTINCT FROM NULL THEN to_json(rebuilt) END AS would_be
    FROM {live} AS live FULL JOIN {rebuilt} AS rebuilt ON {same}
) AS compared
