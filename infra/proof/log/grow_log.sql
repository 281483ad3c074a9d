-- Grows the tree from one size to the next; false if another process did. See migrations/0008.
SELECT grow_log(
    %(old_size)s, %(new_size)s, %(levels)s::smallint[], %(numbers)s::bigint[], %(hashes)s::bytea[], %(keys)s::bytea[]
)
