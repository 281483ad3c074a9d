-- Names of jobs that were in states which meet a condition as of a moment, up to a limit: the latest rows
-- of intervals by which jobs entered these states, of jobs that entered no other state since. place, until
-- and state (columns of intervals), upto, in_order, condition and limits are rendered (see in_states.py).
SELECT e.name
FROM (
    SELECT position
    FROM (SELECT position, {state} AS state FROM intervals WHERE {until} ORDER BY {place} DESC LIMIT {rows}) AS latest
    WHERE latest.state = ANY (ARRAY(
        SELECT (number - 1)::smallint FROM unnest(state_names()) WITH ORDINALITY AS each (state, number)
        WHERE number > 1 AND {condition}
    ))
    LIMIT {tries}
) AS i JOIN events AS e ON e.position = i.position
WHERE {in_order} AND NOT EXISTS (
    SELECT FROM events AS later
    WHERE later.name = e.name AND later.version > e.version AND {upto} AND state_number(later.type) IS NOT NULL
)
LIMIT {limit}
