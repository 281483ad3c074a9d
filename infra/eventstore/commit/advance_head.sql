-- Takes the next positions, and keeps other writers out until this transaction ends. Nothing, if the
-- server's clock has run more than a day ahead of the last event and of the writer's clock (seconds).
UPDATE head SET size = size + %s, recorded_time = greatest(recorded_time, now())
WHERE one AND (now() - interval '1 day' < recorded_time OR now() < to_timestamp(%s) + interval '1 day')
RETURNING size, recorded_time
