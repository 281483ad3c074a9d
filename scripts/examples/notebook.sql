-- A week in SQL: open it in psql, DBeaver, or any notebook that speaks PostgreSQL.
-- Fill an empty ledger with an example first: jobledger simulate --jobs 200 --seed 3 --end 2026-06-08

-- 1. How did each day end?
SELECT (end_time AT TIME ZONE 'UTC')::date AS day,
       count(*) FILTER (WHERE state = 'SUCCEEDED') AS succeeded,
       count(*) FILTER (WHERE state = 'FAILED') AS failed,
       round(100.0 * count(*) FILTER (WHERE state = 'FAILED') / count(*), 1) AS failed_percent
FROM jobs
WHERE end_time < '2026-06-09 00:00Z'
GROUP BY day
ORDER BY day;

-- 2. Which hour of the day had the most jobs running at once?
SELECT extract(hour FROM hour AT TIME ZONE 'UTC') AS hour, max(running) AS most_running
FROM generate_series('2026-06-01 00:00Z', '2026-06-07 23:00Z', interval '1 hour') AS hour
CROSS JOIN LATERAL (
    SELECT count(*) AS running
    FROM job_intervals
    WHERE state = 'RUNNING' AND occurred_from <= hour AND (occurred_to > hour OR occurred_to IS NULL)
) AS at_hour
GROUP BY 1
ORDER BY most_running DESC, 1
LIMIT 3;

-- 3. Which workers do failures happen on?
SELECT data ->> 'worker' AS worker, count(*) AS failures
FROM (
    SELECT failed.name, (
        SELECT started.data FROM job_events AS started
        WHERE started.name = failed.name AND started.type = 'Started' AND started.version < failed.version
        ORDER BY started.version DESC LIMIT 1
    ) AS data
    FROM job_events AS failed
    WHERE failed.type = 'Failed'
) AS of_failures
GROUP BY worker
ORDER BY failures DESC, worker
LIMIT 3;

-- 4. What changed between two moments?
SELECT coalesce(before.state, 'absent') AS at_two, coalesce(after.state, 'absent') AS at_three, count(*) AS jobs
FROM jobs_as_of('2026-06-03 02:00Z') AS before
FULL JOIN jobs_as_of('2026-06-03 03:00Z') AS after USING (name)
WHERE before.state IS DISTINCT FROM after.state
GROUP BY 1, 2
ORDER BY jobs DESC, 1, 2;
