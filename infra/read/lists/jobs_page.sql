-- Listed jobs, limited by number and bytes, but at least one; how many were listed; and the state of the
-- ledger that decides whether a page as of a moment holds.
SELECT {columns}, found{seen}
FROM (
    SELECT *, row_number() OVER () AS n, count(*) OVER () AS found,
           sum(octet_length(coalesce(spec::text, '')) + octet_length(coalesce(output::text, ''))
               + octet_length(coalesce(error::text, ''))) OVER (ROWS UNBOUNDED PRECEDING) AS bytes
    FROM ({jobs}) AS listed
) AS counted
WHERE n = 1 OR (n <= {limit} AND bytes <= {bytes})
ORDER BY n
