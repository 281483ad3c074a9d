-- The next changes of a slot, which stay there; the publication has the slot's name.
SELECT data FROM pg_logical_slot_peek_binary_changes(
    %(slot)s::name, NULL, %(changes)s::integer, 'proto_version', '1', 'publication_names', %(slot)s::text
)
