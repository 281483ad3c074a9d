-- The fold of events into intervals and counts of them. A deleted job stays deleted, whatever
-- comes after; a job's events are put in the order of their versions for one clock, and in the
-- order in which they took effect for the other (see domain/order.py).

-- JobState's names, each at its number and one: the first is of number 0, a deleted job.
CREATE OR REPLACE FUNCTION state_names() RETURNS text[]
IMMUTABLE PARALLEL SAFE LANGUAGE sql RETURN
    ARRAY['DELETED', 'QUEUED', 'PENDING', 'RUNNING', 'SUCCEEDED', 'FAILED', 'CANCELLING', 'CANCELLED',
          'PAUSED', 'EXPIRED', 'UPDATING', 'PARTIALLY_SUCCEEDED'];

-- The number of the state an event leads to: 0 for Deleted, null where it stays as it was.
CREATE OR REPLACE FUNCTION state_number(type text) RETURNS smallint
IMMUTABLE PARALLEL SAFE LANGUAGE sql RETURN
    CASE type  -- The most frequent first; a look into state_names() would take five times as long.
        WHEN 'Created' THEN 1
        WHEN 'Started' THEN 3
        WHEN 'Succeeded' THEN 4
        WHEN 'Failed' THEN 5
        WHEN 'Cancelled' THEN 7
        WHEN 'Queued' THEN 1
        WHEN 'Paused' THEN 8
        WHEN 'Resumed' THEN 1
        WHEN 'Preparing' THEN 2
        WHEN 'Cancelling' THEN 6
        WHEN 'Retried' THEN 1
        WHEN 'Updating' THEN 10
        WHEN 'Updated' THEN 3
        WHEN 'PartiallySucceeded' THEN 11
        WHEN 'Expired' THEN 9
        WHEN 'Deleted' THEN 0
        WHEN 'RunStarted' THEN 3
        WHEN 'Scheduled' THEN 1
        WHEN 'Stopped' THEN 7
    END::smallint;

-- The name of a state's number.
CREATE OR REPLACE FUNCTION state_name(state smallint) RETURNS text
IMMUTABLE PARALLEL SAFE LANGUAGE sql RETURN (state_names())[state + 1];

-- The phase a state is part of: 1 where a job waits to run, 3 where it runs, 5 and 9 where it failed or
-- expired; null elsewhere.
CREATE OR REPLACE FUNCTION phase(state smallint) RETURNS smallint
IMMUTABLE PARALLEL SAFE LANGUAGE sql RETURN
    CASE state WHEN 1 THEN 1 WHEN 2 THEN 1 WHEN 3 THEN 3 WHEN 10 THEN 3 WHEN 5 THEN 5 WHEN 9 THEN 9 END::smallint;

-- Adds the changes that intervals made (factor 1), or takes them back (-1), on one clock.
CREATE OR REPLACE FUNCTION count_changes(clock_ smallint, factor integer, places bigint[], states smallint[], befores smallint[])
RETURNS void LANGUAGE sql AS $$
    -- Stretches of each level are 2^6 of those below: only the finest are counted from the places.
    WITH finest AS (
        SELECT place >> CASE clock_ WHEN 1 THEN 8 ELSE 6 END AS stretch, state, sum(change) AS change
        FROM (
            SELECT place, state, 1 AS change FROM unnest(places, states) AS c (place, state)
            UNION ALL
            SELECT place, state, -1 FROM unnest(places, befores) AS c (place, state) WHERE state IS NOT NULL
        ) AS changes
        GROUP BY 1, 2
    )
    INSERT INTO state_changes (clock, level, stretch, state, change)
    SELECT clock_, level, stretch >> 6 * (level - 1), state, factor * sum(change)
    FROM finest, generate_series(1, 3) AS level
    GROUP BY 1, 2, 3, 4
    HAVING sum(change) <> 0
    ON CONFLICT (clock, level, stretch, state) DO UPDATE SET change = state_changes.change + excluded.change
$$;

-- Folds the events at these positions.
CREATE OR REPLACE FUNCTION fold_intervals(first bigint, last bigint) RETURNS void
LANGUAGE plpgsql
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET enable_memoize = off SET jit = off
AS $$
DECLARE
    late text[];
    places bigint[];
    times bigint[];
    states smallint[];
    befores smallint[];
BEGIN
    -- Which of these jobs are late: an event of theirs took effect at another time than it occurred,
    -- or before others that were known. Of a job that is not late yet, the events took effect in the
    -- order of their versions, and the one before is the latest.
    INSERT INTO late_jobs (name)
    SELECT DISTINCT name
    FROM (
        -- Of a job, only the first of these events looks at the events before them.
        SELECT *, coalesce(before, max(looked_up) OVER (PARTITION BY name)) AS latest
        FROM (
            SELECT *, CASE WHEN leads AND version > 1 THEN (
                SELECT p.occurred_time FROM events AS p
                WHERE p.name = read.name AND p.version < read.version AND (p.type <> 'Contradicted' OR p.version = 1)
                ORDER BY p.version DESC LIMIT 1
            ) END AS looked_up
            FROM (
                SELECT e.name, e.version, e.type, e.schema, e.occurred_time, e.recorded_time,
                       max(e.occurred_time) FILTER (WHERE e.type <> 'Contradicted' OR e.version = 1) OVER (
                           PARTITION BY e.name ORDER BY e.version ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
                       ) AS before,
                       lag(e.version) OVER (PARTITION BY e.name ORDER BY e.version) IS NULL AS leads
                FROM events AS e WHERE e.position BETWEEN first AND last AND e.schema > 0
            ) AS read
        ) AS looked
    ) AS e
    WHERE CASE
        WHEN is_placed(schema) OR occurred_time > recorded_time THEN true
        WHEN version = 1 THEN type <> 'Created'
        ELSE occurred_time < latest
    END
    ON CONFLICT (name) DO NOTHING;

    WITH fresh AS (
        SELECT e.position, e.name, e.version, e.occurred_time, state_number(e.type) AS state
        FROM events AS e
        WHERE e.position BETWEEN first AND last AND e.schema > 0 AND state_number(e.type) IS NOT NULL
        OFFSET 0
    ),
    ordered AS (
        SELECT position, name, version, occurred_time, state, lag(state) OVER job AS before, lag(version) OVER job IS NULL AS leads,
               -- 0, of a Deleted, is the least.
               min(state) OVER (job ROWS UNBOUNDED PRECEDING) = 0 AS gone
        FROM fresh
        WINDOW job AS (PARTITION BY name ORDER BY version)
    ),
    linked AS (
        SELECT o.*, previous.state AS previous_state,
               CASE WHEN phase(previous.state) = phase(previous.occurred_before) THEN previous.phase_from
                    ELSE previous.occurred_from END AS previous_phase_from
        FROM ordered AS o LEFT JOIN LATERAL (
            SELECT i.state, i.occurred_before, i.occurred_from, i.phase_from
            FROM events AS e JOIN intervals AS i ON i.position = e.position
            WHERE o.leads AND o.version > 1 AND e.name = o.name AND e.version < o.version
            ORDER BY e.version DESC LIMIT 1
        ) AS previous ON true
    ),
    settled AS (
        SELECT name, version, position, occurred_time,
               first_value(previous_phase_from) OVER job AS previous_phase_from,
               CASE WHEN gone OR first_value(previous_state) OVER job = 0 THEN 0::smallint ELSE state END AS state,
               CASE WHEN leads THEN previous_state
                    WHEN lag(gone) OVER job OR first_value(previous_state) OVER job = 0 THEN 0::smallint
                    ELSE before END AS before
        FROM linked
        WINDOW job AS (PARTITION BY name ORDER BY version)
    ),
    phased AS (
        SELECT *, CASE WHEN phase(before) IS NOT NULL THEN coalesce(
            max(occurred_time) FILTER (WHERE phase(state) IS DISTINCT FROM phase(before)) OVER (
                PARTITION BY name ORDER BY version ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ), previous_phase_from) END AS phase_from
        FROM settled
    ),
    written AS (
        INSERT INTO intervals (position, occurred_from, state, occurred_state, occurred_before, state_before, phase_from)
        SELECT position, occurred_time, state, state, before, before, phase_from FROM phased
        ORDER BY position  -- So that the index is filled page by page.
        RETURNING position, occurred_from, state, state_before
    )
    SELECT array_agg(position), array_agg(floor(extract(epoch FROM occurred_from))::bigint),
           array_agg(state), array_agg(state_before)
    INTO places, times, states, befores FROM written;
    IF places IS NULL THEN
        RETURN;
    END IF;
    PERFORM count_changes(1::smallint, 1, places, states, befores);
    PERFORM count_changes(2::smallint, 1, times, states, befores);

    -- Events that lead to no state make no intervals, so the others of their jobs are not read again:
    -- a job may have very many reports of progress.
    SELECT array_agg(name) INTO late FROM late_jobs
    WHERE name IN (
        SELECT e.name FROM events AS e
        WHERE e.position BETWEEN first AND last AND e.schema > 0 AND state_number(e.type) IS NOT NULL
    );
    IF late IS NOT NULL THEN
        PERFORM fold_late(late, last);
    END IF;
END $$;

-- Puts the intervals of late jobs into the order in which events up to a position took effect.
CREATE OR REPLACE FUNCTION fold_late(late text[], last bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    placed CONSTANT text[] := coalesce((
        SELECT array_agg(DISTINCT name) FROM events
        WHERE name = ANY (late) AND is_placed(schema) AND position <= last
    ), '{{}}');
BEGIN
    PERFORM count_late(late, placed, -1);
    WITH timed AS (
        SELECT name, version, position, state_number(type) AS state, is_placed(schema) AS is_placed,
               least(placed_after(version, schema, data), version) AS place,
               CASE WHEN is_placed(schema) THEN occurred_time ELSE greatest(
                   least(occurred_time, recorded_time), max(least(occurred_time, recorded_time)) FILTER (WHERE type <> 'Contradicted' OR version = 1) OVER versions
               ) END AS effective
        FROM events
        WHERE name = ANY (late) AND schema > 0 AND position <= last
        WINDOW versions AS (PARTITION BY name ORDER BY version)
    ),
    entered AS MATERIALIZED (SELECT * FROM timed WHERE state IS NOT NULL),
    -- What was known at each version: the state that was entered last by then.
    latest AS (
        SELECT *, (max(ARRAY[(extract(epoch FROM effective) * 1000000)::bigint, place, version, state]) OVER (
            PARTITION BY name ORDER BY version
        ))[4]::smallint AS latest_state
        FROM entered
    ),
    ordered AS (
        SELECT e.name, e.version, e.position, e.effective, e.place,
               CASE WHEN min(e.state) OVER (happened ROWS UNBOUNDED PRECEDING) = 0 THEN 0::smallint ELSE e.state END AS state,
               CASE WHEN min(e.state) OVER (known ROWS UNBOUNDED PRECEDING) = 0 THEN 0::smallint
                    WHEN e.is_placed THEN e.latest_state ELSE e.state END AS known_state
        FROM latest AS e
        WINDOW happened AS (PARTITION BY e.name ORDER BY e.effective, e.place, e.version),
               known AS (PARTITION BY e.name ORDER BY e.version)
    ),
    settled AS (
        SELECT name, version, position, effective, place, state, known_state,
               lag(state) OVER (PARTITION BY name ORDER BY effective, place, version) AS before,
               lag(known_state) OVER (PARTITION BY name ORDER BY version) AS known_before
        FROM ordered
    ),
    phased AS (
        SELECT *, CASE WHEN phase(before) IS NOT NULL THEN
            max(effective) FILTER (WHERE phase(state) IS DISTINCT FROM phase(before)) OVER (
                PARTITION BY name ORDER BY effective, place, version ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ) END AS phase_from
        FROM settled
    )
    UPDATE intervals AS i SET occurred_from = s.effective, occurred_state = s.state,
        occurred_before = s.before, phase_from = s.phase_from, state = s.known_state, state_before = s.known_before
    FROM phased AS s WHERE i.position = s.position;
    PERFORM count_late(late, placed, 1);
END $$;

-- Adds the changes that the intervals of late jobs made (factor 1), or takes them back (-1): of all
-- on the occurred clock, and of those with late reports that were put where they happened on both.
CREATE OR REPLACE FUNCTION count_late(late text[], placed text[], factor integer) RETURNS void
LANGUAGE sql AS $$
    SELECT count_changes(2::smallint, factor, array_agg(floor(extract(epoch FROM i.occurred_from))::bigint),
                         array_agg(i.occurred_state), array_agg(i.occurred_before))
    FROM events AS e JOIN intervals AS i ON i.position = e.position WHERE e.name = ANY (late);
    SELECT count_changes(1::smallint, factor, array_agg(i.position), array_agg(i.state), array_agg(i.state_before))
    FROM events AS e JOIN intervals AS i ON i.position = e.position WHERE e.name = ANY (placed);
$$;

-- How many jobs were in each state at a position: counts up to the end of a stretch that is nearest, and the
-- intervals from there.
CREATE OR REPLACE FUNCTION states_at(until bigint) RETURNS TABLE (state text, jobs bigint)
STABLE LANGUAGE sql AS $$
    SELECT state_name(c.state), sum(c.change)::bigint
    FROM (SELECT (until + 128) >> 8 AS stretch) AS nearest, LATERAL (
        SELECT state, change FROM state_changes WHERE clock = 1 AND level = 3 AND stretch < nearest.stretch >> 12
        UNION ALL
        SELECT state, change FROM state_changes
        WHERE clock = 1 AND level = 2 AND stretch >= (nearest.stretch >> 12) << 6 AND stretch < nearest.stretch >> 6
        UNION ALL
        SELECT state, change FROM state_changes
        WHERE clock = 1 AND level = 1 AND stretch >= (nearest.stretch >> 6) << 6 AND stretch < nearest.stretch
        UNION ALL
        SELECT change.state, change.change
        FROM (
            SELECT state, state_before, count(*) AS jobs FROM intervals
            WHERE position >= nearest.stretch << 8 AND position <= until
            GROUP BY state, state_before
            UNION ALL
            SELECT state, state_before, -count(*) FROM intervals
            WHERE position > until AND position < nearest.stretch << 8
            GROUP BY state, state_before
        ) AS i, LATERAL (VALUES (i.state, i.jobs), (i.state_before, -i.jobs)) AS change (state, change)
    ) AS c
    WHERE c.state > 0
    GROUP BY c.state HAVING sum(c.change) <> 0
$$;

-- How many jobs were in each state at a time, as it happened and as far as that is known now; likewise.
CREATE OR REPLACE FUNCTION states_as_they_happened(at timestamptz) RETURNS TABLE (state text, jobs bigint)
STABLE LANGUAGE sql AS $$
    SELECT state_name(c.state), sum(c.change)::bigint
    FROM (SELECT floor(extract(epoch FROM at) + 32)::bigint >> 6 AS stretch) AS nearest, LATERAL (
        SELECT state, change FROM state_changes WHERE clock = 2 AND level = 3 AND stretch < nearest.stretch >> 12
        UNION ALL
        SELECT state, change FROM state_changes
        WHERE clock = 2 AND level = 2 AND stretch >= (nearest.stretch >> 12) << 6 AND stretch < nearest.stretch >> 6
        UNION ALL
        SELECT state, change FROM state_changes
        WHERE clock = 2 AND level = 1 AND stretch >= (nearest.stretch >> 6) << 6 AND stretch < nearest.stretch
        UNION ALL
        SELECT change.state, change.change
        FROM (
            SELECT occurred_state, occurred_before, count(*) AS jobs FROM intervals
            WHERE occurred_from >= to_timestamp(nearest.stretch << 6) AND occurred_from <= at
            GROUP BY occurred_state, occurred_before
            UNION ALL
            SELECT occurred_state, occurred_before, -count(*) FROM intervals
            WHERE occurred_from > at AND occurred_from < to_timestamp(nearest.stretch << 6)
            GROUP BY occurred_state, occurred_before
        ) AS i, LATERAL (VALUES (i.occurred_state, i.jobs), (i.occurred_before, -i.jobs)) AS change (state, change)
    ) AS c
    WHERE c.state > 0
    GROUP BY c.state HAVING sum(c.change) <> 0
$$;
