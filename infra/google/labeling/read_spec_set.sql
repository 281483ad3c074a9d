-- An annotation spec set.
SELECT name, display_name, description, specs, create_time
FROM annotation_spec_sets WHERE name = %s AND delete_time IS NULL
