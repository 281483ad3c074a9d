-- Begins a transaction, waits until no other writer is in the middle of a commit, keeps them out, and
-- reads the state of some jobs then: one round trip. Carried by jobs_pkey.
BEGIN;
SELECT lock_head();
SELECT name, state, version, attempt, create_time, start_time, end_time, update_time, effective_time,
       delete_time, error, error_message, labels, spec, output, run_ids, lineage
FROM jobs WHERE name = ANY (%s::text[])
