-- Sets the end of a run's lease, in milliseconds from now.
SELECT keep_lease(%s, %s, %s)
