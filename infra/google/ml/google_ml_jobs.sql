-- The query of the view google_ml_jobs, without its columns.
SELECT {columns}
FROM {s}.jobs AS j LEFT JOIN {s}.google_ml_places() AS p ON p.name = j.name,
LATERAL (
    SELECT coalesce(json_typeof(j.spec -> 'trainingInput'), 'null') <> 'null'
           AND coalesce(json_typeof(j.spec -> 'predictionInput'), 'null') = 'null' AS trains,
           coalesce(json_typeof(j.spec -> 'predictionInput'), 'null') <> 'null' AS predicts,
           coalesce(json_typeof(j.output -> 'predictionOutput'), 'null') <> 'null' AS predicted
) AS i
WHERE j.delete_time IS NULL AND j.kind = 'jobs'
  AND split_part(j.name, '/', 3) = 'jobs' AND split_part(j.name, '/', 5) = ''
