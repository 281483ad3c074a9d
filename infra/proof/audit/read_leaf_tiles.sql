-- Tiles of leaves, and the keys of their salts, by their numbers.
SELECT level, number, hashes, key FROM tiles
WHERE level = 0 AND number BETWEEN %(first)s AND %(last)s ORDER BY number
