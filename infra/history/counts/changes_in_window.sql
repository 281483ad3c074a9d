-- The state changes in a window of valid time: by the state after and before it, with the samples that contain them.
-- A row without a state has the position that intervals have reached; rows without samples count the jobs before the window.
SELECT NULL::smallint AS state, NULL::smallint AS before, NULL::bigint[] AS samples, position AS number
FROM projections WHERE name = 'intervals'
UNION ALL
SELECT (array_position(state_names(), state) - 1)::smallint, NULL, NULL, jobs
FROM states_as_they_happened(to_timestamp(%(begin)s) - interval '1 microsecond')
UNION ALL
SELECT occurred_state, occurred_before,
       array_agg(floor(date_part('epoch', occurred_from))::bigint / %(width)s), NULL
FROM intervals
WHERE occurred_from >= to_timestamp(%(begin)s) AND occurred_from < to_timestamp(%(end)s)
GROUP BY 1, 2
