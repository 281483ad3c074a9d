-- The events that say that the log went on after a loss (see proof/resume.py); carried by events_version.
SELECT position, data, recorded_time, actor FROM events
WHERE name = 'ledger/resumptions' AND schema = 0 AND type = 'Resumed' ORDER BY version
