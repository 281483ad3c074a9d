-- The last position recorded by a time; whatever comes is recorded after it. See migrations/0004.
SELECT position_recorded(%s)
