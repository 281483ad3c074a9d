-- Waits until no other writer is in the middle of a commit, and keeps them out until this
-- transaction ends.
SELECT lock_head()
