"""Asks a Parquet export with Spark: jobs by state as of a time, how long they waited, and how they failed.

    jobledger export --format parquet --partition-by day,kind --to events
    python spark_history.py events 2026-06-05T12:00:00Z

Needs pyspark and Java. By default Spark runs in two processes of this machine; --master names a cluster.
The answers are those of `jobledger count --as-of TIME`, `report queue-time` and `report failures`.
"""

from __future__ import annotations

import argparse
import json
from datetime import datetime
from typing import Any

TWO_WORKERS = "local-cluster[2,1,1024]"
"""Two workers with one core and 1,024 MB each."""

ENTERED = """
SELECT name, kind, type, data, effective_time, place, version,
       CASE WHEN max(gone) OVER job = 1 THEN 'DELETED' ELSE entered_state END AS state
FROM (
    SELECT *, CASE WHEN type = 'Deleted' THEN 1 ELSE 0 END AS gone,
           -- A late report takes effect right after the version that it names.
           CASE WHEN schema > 100 THEN least(version, CAST(get_json_object(data, '$.@placed.after') AS INT))
                ELSE version END AS place
    FROM events WHERE entered_state IS NOT NULL OR type = 'Deleted'
) AS of_states
WINDOW job AS (PARTITION BY name ORDER BY effective_time, place, version ROWS UNBOUNDED PRECEDING)
"""
"""The events by which jobs entered a state, in valid time; a deleted job stays deleted."""

STATES = """
SELECT state, count(*) AS jobs
FROM (
    SELECT state, row_number() OVER (PARTITION BY name ORDER BY effective_time DESC, place DESC, version DESC) AS nth
    FROM entered WHERE effective_time <= TIMESTAMP '{time}'
) AS last
WHERE nth = 1 AND state <> 'DELETED' GROUP BY state ORDER BY state
"""

QUEUE_TIME = """
WITH steps AS (
    SELECT *, lag(state) OVER job AS before,
           CASE WHEN state IN ('QUEUED', 'PENDING') THEN 1 WHEN state IN ('RUNNING', 'UPDATING') THEN 3 ELSE 0 END AS phase
    FROM entered WINDOW job AS (PARTITION BY name ORDER BY effective_time, place, version)
),
begun AS (
    SELECT *, CASE WHEN phase > 0 AND phase = lag(phase) OVER job THEN NULL ELSE effective_time END AS begins
    FROM steps WINDOW job AS (PARTITION BY name ORDER BY effective_time, place, version)
),
phases AS (
    SELECT *, max(begins) OVER (PARTITION BY name ORDER BY effective_time, place, version ROWS UNBOUNDED PRECEDING) AS since
    FROM begun
),
waits AS (
    SELECT state, before, unix_micros(effective_time) - unix_micros(lag(since) OVER job) AS microseconds
    FROM phases WINDOW job AS (PARTITION BY name ORDER BY effective_time, place, version)
)
SELECT count(*) AS waits,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY microseconds / 1e6) AS p50,
       percentile_cont(0.9) WITHIN GROUP (ORDER BY microseconds / 1e6) AS p90,
       percentile_cont(0.99) WITHIN GROUP (ORDER BY microseconds / 1e6) AS p99
FROM waits WHERE state = 'RUNNING' AND before IN ('QUEUED', 'PENDING')
"""
"""How long jobs waited until they ran, in seconds: from when they began to wait, QUEUED or PENDING."""

FAILURES = """
SELECT state, message, count(*) AS failures
FROM (
    SELECT state, coalesce(CASE WHEN type = 'Failed' THEN get_json_object(data, '$.error.message')
                                ELSE get_json_object(data, '$.reason') END, '') AS message
    FROM entered WHERE state IN ('FAILED', 'EXPIRED')
) AS failed
GROUP BY state, message ORDER BY failures DESC, state, message
"""


def main() -> None:
    """Prints the three answers as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", help="the folder that jobledger export --format parquet wrote")
    parser.add_argument(
        "time", type=datetime.fromisoformat, help="the time to count jobs as of, with a time zone"
    )
    parser.add_argument(
        "--master", default=TWO_WORKERS, help="the Spark cluster (default: %(default)s)"
    )
    asked = parser.parse_args()
    print(json.dumps(answers(asked.folder, asked.time, asked.master), indent=2))


def answers(folder: str, time: datetime, master: str) -> dict[str, Any]:
    """Starts Spark, and asks it."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master(master).appName("jobledger history")
    builder = builder.config("spark.sql.session.timeZone", "UTC").config(
        "spark.ui.enabled", "false"
    )
    spark = builder.config("spark.log.level", "ERROR").getOrCreate()
    try:
        spark.read.parquet(folder).createOrReplaceTempView("events")
        spark.sql(ENTERED).createOrReplaceTempView("entered")
        states = {
            row.state: row.jobs for row in spark.sql(STATES.format(time=time.isoformat())).collect()
        }
        waits = spark.sql(QUEUE_TIME).collect()[0].asDict()
        failures = [row.asDict() for row in spark.sql(FAILURES).collect()]
    finally:
        spark.stop()
    return {"states": states, "queueTime": waits, "failures": failures}


if __name__ == "__main__":
    main()
