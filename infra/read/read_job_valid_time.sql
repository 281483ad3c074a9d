-- One job as of a valid time, as far as was known at a position, deleted or not.
SELECT %(name)s::text, was.* FROM job_row_as_it_happened(%(name)s, %(position)s, %(time)s) AS was
