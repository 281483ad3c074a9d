-- Stores a new annotation spec set; false if the name is taken.
SELECT keep_spec_set(%s, %s, %s, %s::json)
