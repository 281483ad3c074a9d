-- Keeps what a run found, unless it was worked out before.
SELECT keep_evaluations(%s, %s, %s, %s, %s, %s)
