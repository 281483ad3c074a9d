-- The server's clock, which records events.
SELECT clock_timestamp(), size FROM head
