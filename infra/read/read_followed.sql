-- How far a projection that follows the events has come.
SELECT position FROM projections WHERE name = %s
