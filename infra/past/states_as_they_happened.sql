-- How many jobs were in each state at a time, as far as is known now.
SELECT state, jobs FROM states_as_they_happened(%(time)s)
