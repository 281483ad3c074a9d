-- How many of a run's questions an annotator has answered, and how many are left for them.
SELECT (SELECT count(*) FROM answers AS a
        WHERE a.job = %(job)s AND a.run = %(run)s AND a.annotator = %(annotator)s),
       (SELECT count(*) FROM samples AS s
        WHERE s.job = %(job)s AND s.number BETWEEN %(first)s AND %(last)s AND s.groundtruth IS NULL
          AND (SELECT count(*) FROM answers AS a
               WHERE a.job = s.job AND a.run = %(run)s AND a.sample = s.number) < %(replicas)s
          AND NOT EXISTS (SELECT FROM answers AS a
                          WHERE a.job = s.job AND a.run = %(run)s AND a.sample = s.number
                            AND a.annotator = %(annotator)s))
