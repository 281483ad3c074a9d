-- Deletes an annotation spec set; false if there is none.
SELECT delete_spec_set(%s)
