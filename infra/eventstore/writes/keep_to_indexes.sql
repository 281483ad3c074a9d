-- For this transaction: keeps the planner from reading all jobs because of a few thousand events. The
-- fold of many events may be planned for them.
SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL plan_cache_mode = auto
