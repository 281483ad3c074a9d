-- Stores a run's evaluations, unless it has some.
SELECT keep_evaluations(%s, %s, %s, %s, %s, %s)
