-- The next changes of a slot up to a place in the log, which stay there; the publication has the slot's name.
SELECT data FROM pg_logical_slot_peek_binary_changes(
    %(slot)s::name, %(until)s::pg_lsn, %(changes)s::integer,
    'proto_version', '1', 'publication_names', %(slot)s::text
)
