-- Whether this session is the ledger's scheduler: one at a time is, until its session ends.
SELECT pg_try_advisory_lock(1785688940, hashtext(current_schema()))
