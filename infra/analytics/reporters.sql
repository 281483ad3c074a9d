-- Each reporter's clock: the offset between when its reports occurred and when they were recorded,
-- in seconds (the median, the least, and how it changes in a day), and how far it ran ahead of the
-- server's clock and jumped back. Counted are reports that occurred or were recorded within the
-- window, or on both sides of it. group and of_jobs are rendered.
WITH reported AS (
    SELECT {group} AS group_, i.position, i.recorded_time, i.occurred_time, coalesce(i.actor, '') AS actor,
           coalesce(event_data.worker, '') AS worker,
           extract(epoch FROM i.recorded_time - i.occurred_time)::double precision AS seconds
    FROM events AS i {of_jobs},
         -- Canonical JSON has one form of each key, so most data need not be parsed.
         LATERAL (SELECT CASE WHEN position('"worker":'::bytea IN i.data) > 0 AND i.schema > 0 THEN read_json(i.data) END AS data) AS read,
         LATERAL (SELECT CASE WHEN i.type = 'Contradicted' THEN read.data -> 'data' ELSE read.data END -> 'worker' AS worker) AS field,
         LATERAL (SELECT CASE json_typeof(field.worker) WHEN 'string' THEN field.worker #>> '{{}}' END AS worker) AS event_data
    WHERE i.schema > 0 AND i.position <= %(position)s
      AND greatest(i.occurred_time, i.recorded_time) >= %(begin)s
      AND least(i.occurred_time, i.recorded_time) < %(end)s
),
stepped AS (
    SELECT *, extract(epoch FROM max(occurred_time) OVER (
        PARTITION BY group_, actor, worker ORDER BY position ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) - occurred_time)::double precision AS back
    FROM reported
    WHERE actor <> '' OR worker <> ''
),
measured AS (
    SELECT group_, actor, worker, count(*) AS reports, max(recorded_time) AS last_time,
           percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) AS median, min(seconds) AS least,
           -- A shorter period has no trend.
           CASE WHEN max(recorded_time) - min(recorded_time) >= interval '1 hour'
                THEN regr_slope(seconds, extract(epoch FROM recorded_time)::double precision / 86400) END AS trend,
           greatest(-min(seconds), 0) AS ahead, coalesce(greatest(max(back), 0), 0) AS back
    FROM stepped
    GROUP BY group_, actor, worker
)
SELECT group_, actor, worker, reports, last_time, round(median::numeric, 6)::double precision,
       round(least::numeric, 6)::double precision, round(trend::numeric, 3)::double precision,
       round(ahead::numeric, 6)::double precision, round(back::numeric, 6)::double precision,
       concat_ws(', ', CASE WHEN ahead >= %(tolerance)s THEN 'runs ahead' END,
                 CASE WHEN back >= %(tolerance)s THEN 'jumped back' END)
FROM measured
ORDER BY (ahead >= %(tolerance)s OR back >= %(tolerance)s) DESC, reports DESC, actor, worker, group_
LIMIT %(top)s
