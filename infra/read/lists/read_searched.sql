-- How far the signatures of blocks have come, and the ledger.
SELECT p.position, h.size FROM projections AS p, head AS h WHERE p.name = 'search'
