-- intervals: one row for each event that a job entered a state by, with the state it left, on both
-- clocks; it ends where the job's next one begins. Counts of them, so that the states of a whole
-- fleet at any moment are a sum of a few hundred rows. Derived from events; follows them (see
-- `projections.position`).

-- States are JobState's numbers; 0 is a deleted job, null none before.
CREATE TABLE intervals (
    position bigint NOT NULL PRIMARY KEY,
    occurred_from timestamptz NOT NULL,
    state smallint NOT NULL,
    -- In the order in which things took effect, which is another one where reports came late;
    -- occurred_from is when the event took effect.
    occurred_state smallint NOT NULL,
    occurred_before smallint,
    state_before smallint,
    -- When the job came into the phase (waiting, running, failed) that `occurred_before` is part of.
    phase_from timestamptz
);
CREATE INDEX intervals_occurred ON intervals (occurred_from);
-- The waits that led to RUNNING: the statistic of queue times reads nothing but this.
CREATE INDEX intervals_ran ON intervals (occurred_from) INCLUDE (phase_from)
    WHERE occurred_state = 3 AND occurred_before IN (1, 2);

-- How many jobs came into a state, less those that left it, in stretches of either clock:
-- clock 1 counts positions, in stretches of 2^8, 2^14 and 2^20 of them; clock 2 seconds as
-- things occurred, in stretches of 2^6, 2^12 and 2^18.
CREATE TABLE state_changes (
    clock smallint NOT NULL,
    level smallint NOT NULL,
    stretch bigint NOT NULL,
    state smallint NOT NULL,
    change bigint NOT NULL,
    PRIMARY KEY (clock, level, stretch, state)
) WITH (fillfactor = 50);

-- Jobs with an event that took effect at another time than it occurred, or before one of a lower
-- version, and jobs that do not begin with Created: occurred times alone do not tell how it happened.
CREATE TABLE late_jobs (
    name text COLLATE "C" NOT NULL PRIMARY KEY
);
