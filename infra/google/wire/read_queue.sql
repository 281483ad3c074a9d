-- Jobs of a collection in a state, all or those of some names, with their reported places in the queue.
SELECT name, create_time, spec, place
FROM jobs, LATERAL (
    SELECT CASE WHEN type = 'Queued' THEN (read_json(data) ->> 'queuePosition')::bigint END AS place
    FROM events
    WHERE events.name = jobs.name AND events.version <= jobs.version AND known_state(type, schema, data) IS NOT NULL
    ORDER BY events.version DESC
    LIMIT 1
) AS entered
WHERE kind = %(collection)s AND state = %(state)s AND delete_time IS NULL
  AND (%(names)s::text[] IS NULL OR name = ANY (%(names)s::text[]))
