-- For this session: a statement's plan is made once, perhaps of an empty ledger, and has to serve when
-- there are millions of events.
SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_seqscan = off
