-- The last position, and when the last event was recorded, as far as this server has replayed.
SELECT size, recorded_time FROM head
