-- For this transaction: a few thousand events must not make the planner read every job there is.
SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off
