-- How far the log says its tree goes, how far the ledger says its events go, and how far they do.
SELECT origin, log.size, head.size, (SELECT coalesce(max(position), 0) FROM events) FROM log, head
