-- Renames the log; refused once a checkpoint of it was signed.
UPDATE log SET origin = %(origin)s WHERE origin <> %(origin)s
