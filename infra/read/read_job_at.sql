-- One job as the ledger knew it at a position, deleted or not.
SELECT %(name)s::text, was.* FROM job_row_at(%(name)s, %(position)s) AS was
