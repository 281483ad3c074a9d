-- How many events are stored: all but those that were pruned.
SELECT size - coalesce((SELECT sum(last - first + 1) FROM pruned), 0)::bigint FROM head
