-- How many pages `events` has.
SELECT pg_relation_size('events') / current_setting('block_size')::bigint
