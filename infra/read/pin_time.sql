-- The last position recorded by a time; later events are recorded after it. See migrations/0004.
SELECT position_recorded(%s)
