-- Locks out the catch-up of `intervals` until this transaction ends. An UPDATE: on Citus,
-- SELECT FOR UPDATE does not hold while the ledger is moved to another node.
UPDATE projections SET position = position WHERE name = 'intervals'
