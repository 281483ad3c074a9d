-- Tiles of leaves that hold more hashes than the tree has leaves.
SELECT number FROM tiles, log
WHERE level = 0 AND number * 256 + length(hashes) / 32 > log.size ORDER BY number
