-- Where annotation spec sets are not what was recorded of them; null-free findings. Those that were made before
-- they were recorded (migration 19, of a ledger that is older than that) are under no event.
WITH recorded AS (
    SELECT convert_from(data, 'UTF8')::json ->> 'name' AS name,
           max(position) FILTER (WHERE type = 'AnnotationSpecSetCreated') AS position,
           max(convert_from(data, 'UTF8')::json ->> 'digest') AS digest,
           bool_or(type = 'AnnotationSpecSetDeleted') AS deleted
    FROM events WHERE name = 'ledger/annotationSpecSets' AND schema = 0 GROUP BY 1
)
SELECT CASE WHEN r.name IS NULL THEN 'extra' WHEN s.name IS NULL THEN 'missing' ELSE 'differs' END,
       coalesce(r.position, 0), coalesce(r.name, s.name, ''), 'the annotation spec set is not what was recorded of it'
FROM recorded AS r FULL JOIN annotation_spec_sets AS s ON s.name = r.name COLLATE "C"
WHERE (r.name IS NULL AND NOT EXISTS (
        SELECT FROM migrations AS m, migrations AS f
        WHERE m.number = 19 AND f.number = 1 AND f.applied_time < m.applied_time AND s.create_time < m.applied_time
    ))
   OR s.name IS NULL OR spec_set_digest(s.name, s.display_name, s.description, s.specs, s.create_time) <> r.digest OR (s.delete_time IS NOT NULL) <> r.deleted
