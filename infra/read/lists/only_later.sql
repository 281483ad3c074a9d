-- Whether all events after a position occurred and were recorded after a time, and so change no job at that time.
SELECT NOT EXISTS (
    SELECT FROM events
    WHERE position > %(position)s AND position <= %(known)s
      AND (occurred_time <= %(time)s OR recorded_time <= %(time)s OR schema <= 0 OR name LIKE 'ledger/%%')
)
