-- Samples whose truth is not known and that want an answer still, of somebody other than the annotator.
SELECT s.number, s.raw_data
FROM samples AS s
WHERE s.job = %(job)s AND s.number BETWEEN %(first)s AND %(last)s AND s.groundtruth IS NULL
  AND (SELECT count(*) FROM answers AS a
       WHERE a.job = s.job AND a.run = %(run)s AND a.sample = s.number) < %(replicas)s
  AND NOT EXISTS (SELECT FROM answers AS a
                  WHERE a.job = s.job AND a.run = %(run)s AND a.sample = s.number AND a.annotator = %(annotator)s)
ORDER BY s.number
LIMIT %(most)s
