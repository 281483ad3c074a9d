-- The position that intervals has reached, and how many jobs were in a state that meets a condition.
-- states, the states as of a moment with their jobs, and condition are rendered.
SELECT followed.position, coalesce(sum(jobs) FILTER (WHERE {condition}), 0)
FROM projections AS followed LEFT JOIN {states} AS states ON true
WHERE followed.name = 'intervals'
GROUP BY followed.position
