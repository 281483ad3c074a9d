-- The annotation specs of a set.
SELECT specs FROM annotation_spec_sets WHERE name = %s AND delete_time IS NULL
