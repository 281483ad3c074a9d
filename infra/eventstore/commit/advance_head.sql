-- Takes the next positions, and keeps other writers out until this transaction ends.
UPDATE head SET size = size + %s, recorded_time = greatest(recorded_time, now())
WHERE one
RETURNING size, recorded_time
