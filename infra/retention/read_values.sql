-- How many bytes the TOAST table of `events` takes, and how many of them its values do.
SELECT CASE reltoastrelid WHEN 0 THEN 0 ELSE pg_relation_size(reltoastrelid) END,
       (SELECT coalesce(sum(pg_column_size(data)), 0)::bigint FROM events WHERE octet_length(data) >= %(length)s)
FROM pg_class WHERE oid = 'events'::regclass
