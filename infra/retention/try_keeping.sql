-- Whether this session applies the ledger's retention rules: one at a time does, until its session ends.
SELECT pg_try_advisory_lock(1919250540, hashtext(current_schema()))
