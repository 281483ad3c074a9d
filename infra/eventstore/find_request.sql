-- The event of a stream that was written for a request id; carried by events_version.
SELECT position, type, data, recorded_time FROM events
WHERE name = %s COLLATE "C" AND schema = 0 AND read_json(data) ->> 'requestId' = %s
ORDER BY version LIMIT 1
