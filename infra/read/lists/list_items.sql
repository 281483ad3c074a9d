-- Whether one of the items in a list of the job's JSON is as a filter says: a text, or its last part after
-- a slash; an object's name, also after its namespace, or the name's last part after a slash or a dot.
EXISTS (
    SELECT FROM json_array_elements(CASE json_typeof({items}) WHEN 'array' THEN {items} ELSE '[]' END) AS item
    WHERE item #>> '{{}}' LIKE {pattern}
        OR split_part(item #>> '{{}}', '/', -1) LIKE {pattern}
        OR item ->> 'name' LIKE {pattern}
        OR substring(item ->> 'name' FROM '[^/.]+$') LIKE {pattern}
        OR concat(item ->> 'namespace', '/', item ->> 'name') LIKE {pattern}
)
