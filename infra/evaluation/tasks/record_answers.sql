-- Keeps one person's answers to questions of a run; what became of each.
SELECT record_answers(%s, %s, %s, %s, %s::integer[], %s::text[])
