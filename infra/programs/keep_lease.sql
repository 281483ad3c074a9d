-- Makes the lease of a job's run end so many milliseconds from now.
SELECT keep_lease(%s, %s, %s)
