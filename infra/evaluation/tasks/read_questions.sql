-- Samples without ground truth that need an answer of this annotator;
-- limited by characters, but at least one.
SELECT number, raw_data
FROM (
    SELECT *, row_number() OVER (ORDER BY number) AS n,
           sum(length(raw_data::text)) OVER (ORDER BY number) AS size
    FROM (
        SELECT s.number, s.raw_data
        FROM samples AS s
        WHERE s.job = %(job)s AND s.number BETWEEN %(first)s AND %(last)s AND s.groundtruth IS NULL
          AND (SELECT count(*) FROM answers AS a
               WHERE a.job = s.job AND a.run = %(run)s AND a.sample = s.number) < %(replicas)s
          AND NOT EXISTS (SELECT FROM answers AS a
                          WHERE a.job = s.job AND a.run = %(run)s AND a.sample = s.number AND a.annotator = %(annotator)s)
        ORDER BY s.number
        LIMIT %(most)s
    ) AS wanting
) AS counted
WHERE n = 1 OR size <= %(size)s
ORDER BY number
