-- Where the last of the first so many events is, and when it was recorded; carried by events_pkey.
SELECT position, recorded_time FROM events WHERE position <= %(size)s ORDER BY position DESC LIMIT 1
