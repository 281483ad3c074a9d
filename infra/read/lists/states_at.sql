-- How many jobs were in each state at a position.
SELECT state, jobs FROM states_at(%(position)s)
