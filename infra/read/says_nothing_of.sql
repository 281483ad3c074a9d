-- Whether the events after a position say nothing of the jobs at a time: they occurred and were recorded later.
SELECT NOT EXISTS (
    SELECT FROM events
    WHERE position > %(position)s AND position <= %(known)s
      AND (occurred_time <= %(time)s OR recorded_time <= %(time)s OR schema <= 0 OR name LIKE 'ledger/%%')
)
