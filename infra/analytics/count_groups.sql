-- How many values a field has among some jobs, up to a limit; group and condition are rendered.
SELECT count(*) FROM (SELECT DISTINCT {group} FROM jobs WHERE {condition} LIMIT {most}) AS groups
