-- How many jobs were in each state at a time, as far as is known now, and which position that is:
-- in one snapshot, and in a row without a state if there were none.
SELECT followed.position, states.state, states.jobs
FROM projections AS followed LEFT JOIN states_as_they_happened(%(time)s) AS states ON true
WHERE followed.name = 'intervals'
