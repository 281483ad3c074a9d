-- Deletes the intervals of some jobs, and subtracts them from the counts.
WITH gone AS (
    DELETE FROM intervals AS i USING events AS e
    WHERE e.name = ANY (%(names)s) AND i.position = e.position
    RETURNING i.position, i.occurred_from, i.state, i.state_before, i.occurred_state, i.occurred_before
),
gathered AS (
    SELECT array_agg(position) AS places, array_agg(floor(extract(epoch FROM occurred_from))::bigint) AS seconds,
           array_agg(state) AS states, array_agg(state_before) AS befores,
           array_agg(occurred_state) AS occurred_states, array_agg(occurred_before) AS occurred_befores
    FROM gone
)
SELECT count_changes(1::smallint, -1, places, states, befores),
       count_changes(2::smallint, -1, seconds, occurred_states, occurred_befores)
FROM gathered WHERE places IS NOT NULL
