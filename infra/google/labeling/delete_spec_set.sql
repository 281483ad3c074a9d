-- Takes an annotation spec set away; false if there is none.
SELECT delete_spec_set(%s)
