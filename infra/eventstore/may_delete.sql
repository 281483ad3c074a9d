-- Whether this role may delete from all of these tables, as their owner may.
SELECT bool_and(has_table_privilege(name, 'DELETE')) FROM unnest(%s::text[]) AS t (name)
