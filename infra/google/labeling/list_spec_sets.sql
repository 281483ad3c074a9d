-- A project's annotation spec sets, newest first, after a page cursor if one is given.
SELECT name, display_name, description, specs, create_time
FROM annotation_spec_sets
WHERE name > %(parent)s::text || '/annotationSpecSets/' AND name < %(parent)s::text || '/annotationSpecSets0'
  AND delete_time IS NULL
  AND (%(time)s::timestamptz IS NULL OR (create_time, name) < (%(time)s::timestamptz, %(name)s::text))
ORDER BY create_time DESC, name DESC
LIMIT %(limit)s
