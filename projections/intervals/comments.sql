-- Comments of the tables and the functions of intervals.

COMMENT ON TABLE intervals IS 'When each job was in which state, on both clocks: one row for each event that it entered a state by. States are numbers; state_name gives their names.';
COMMENT ON COLUMN intervals.position IS 'The position of the event by which the job entered the state.';
COMMENT ON COLUMN intervals.occurred_from IS 'When the event took effect (valid time).';
COMMENT ON COLUMN intervals.state IS 'The number of the state, in the order of versions.';
COMMENT ON COLUMN intervals.state_before IS 'The number of the state before it, in the order of versions; null if there is none.';
COMMENT ON COLUMN intervals.occurred_state IS 'The number of the state, in the order in which events took effect.';
COMMENT ON COLUMN intervals.occurred_before IS 'The number of the state before it, in the order in which events took effect; null if there is none.';
COMMENT ON COLUMN intervals.phase_from IS 'When the job entered the phase (waiting, running, failed or expired) that occurred_before is part of.';

COMMENT ON TABLE state_changes IS 'How many jobs entered each state less those that left it, in blocks of positions and of seconds.';
COMMENT ON COLUMN state_changes.clock IS '1: blocks of positions (transaction time). 2: blocks of seconds (valid time).';
COMMENT ON COLUMN state_changes.level IS '1 to 3. Blocks have 2^8, 2^14 and 2^20 positions, or 2^6, 2^12 and 2^18 seconds.';
COMMENT ON COLUMN state_changes.stretch IS 'The number of the block within its level.';
COMMENT ON COLUMN state_changes.state IS 'The number of the state.';
COMMENT ON COLUMN state_changes.change IS 'Jobs that entered the state in the block less those that left it.';

COMMENT ON TABLE late_jobs IS 'Jobs whose events did not take effect in the order of their occurred times, or whose first event is not Created.';
COMMENT ON COLUMN late_jobs.name IS 'The job.';

COMMENT ON FUNCTION count_changes IS 'Adds changes of state to state_changes, or subtracts them.';
COMMENT ON FUNCTION count_late IS 'Adds the late events of jobs to the counts, or subtracts them.';
COMMENT ON FUNCTION fold_intervals IS 'Folds the events at a range of positions into intervals, state_changes and late_jobs.';
COMMENT ON FUNCTION fold_late IS 'Folds jobs with late events again.';
COMMENT ON FUNCTION phase IS 'The phase of a state: 1 waiting, 3 running, 5 failed, 9 expired; null for other states.';
COMMENT ON FUNCTION state_name IS 'The name of a state''s number.';
COMMENT ON FUNCTION state_names IS 'The names of states, in the order of their numbers from 0.';
COMMENT ON FUNCTION state_number IS 'The number of the state that an event of a type leads to: 0 for Deleted; null if it changes none.';
COMMENT ON FUNCTION states_as_they_happened IS 'How many jobs were in each state at a valid time, as far as is known now.';
COMMENT ON FUNCTION states_at IS 'How many jobs were in each state at a position (transaction time).';
