-- All tiles above the leaves'.
SELECT level, number, hashes, key FROM tiles WHERE level > 0 ORDER BY level, number
