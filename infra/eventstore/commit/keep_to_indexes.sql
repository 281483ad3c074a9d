-- For this transaction: keeps the planner from reading all jobs because of a few thousand events.
SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off
