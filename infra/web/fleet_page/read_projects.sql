-- The projects that have jobs as of a position, in the order of their names, a hundred at most.
WITH RECURSIVE found AS (
    (SELECT project FROM jobs ORDER BY name LIMIT 1)
    UNION ALL
    SELECT next.project FROM found, LATERAL (
        SELECT project FROM jobs
        WHERE name >= 'projects/' || found.project || '0' ORDER BY name LIMIT 1
    ) AS next
)
SELECT project FROM found
WHERE EXISTS (
    SELECT FROM jobs
    WHERE name >= 'projects/' || found.project || '/' AND name < 'projects/' || found.project || '0'
      AND first_position <= %(position)s
)
LIMIT 100
