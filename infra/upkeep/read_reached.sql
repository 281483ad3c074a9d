-- The position up to which a projection has rows; null if it is written with the events.
SELECT position FROM projections WHERE name = %s
