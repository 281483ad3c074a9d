-- The last position, and when the last event was recorded, as far as this server has replayed; without
-- any event, a time before all others.
SELECT size, greatest(recorded_time, timestamptz '0001-01-02 00:00:00+00') FROM head
