-- Stores one annotator's answers to questions of a run, and returns the outcome of each.
SELECT record_answers(%s, %s, %s, %s, %s::integer[], %s::text[])
