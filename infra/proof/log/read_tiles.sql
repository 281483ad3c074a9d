-- Tiles of the tree, by their levels and numbers.
SELECT level, number, hashes, key
FROM tiles JOIN unnest(%(levels)s::smallint[], %(numbers)s::bigint[]) AS wanted (level, number) USING (level, number)
