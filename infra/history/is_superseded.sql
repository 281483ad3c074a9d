-- Whether reports after a position changed the order of events before it.
SELECT EXISTS (
    SELECT FROM events AS e JOIN late_jobs AS late ON late.name = e.name
    WHERE e.position > %s AND e.schema > 0
)
