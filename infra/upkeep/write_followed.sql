-- How far a projection that follows the events has come.
UPDATE projections SET position = %s WHERE name = %s
