-- The position and recorded time of the last event within a size; carried by events_pkey.
SELECT position, recorded_time FROM events WHERE position <= %(size)s ORDER BY position DESC LIMIT 1
