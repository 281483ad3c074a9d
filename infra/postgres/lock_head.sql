-- Waits until no other writer is in the middle of a commit, and keeps them out until this
-- transaction ends. An UPDATE, as SELECT FOR UPDATE does not hold while a ledger is moved.
UPDATE head SET size = size
