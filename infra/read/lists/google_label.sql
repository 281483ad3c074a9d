-- The value of a label as Google's APIs show it, by the key that they show; see domain/values/labels.py.
(SELECT CASE WHEN l.value ~ '^[A-Za-z0-9_.-]*$' THEN lower(translate(l.value, '.', '_')) ELSE l.value END
 FROM jsonb_each_text(labels) AS l,
 LATERAL (
     SELECT CASE WHEN l.key ~ '^[A-Za-z0-9_./-]*$'
                 THEN left(concat(CASE WHEN l.key ~ '^[0-9]' THEN 'k_' END, lower(translate(l.key, './', '__'))), 64)
                 ELSE l.key END AS key
 ) AS shown
 WHERE shown.key = {key}::text
 ORDER BY l.key <> shown.key, l.key COLLATE "C" LIMIT 1)
