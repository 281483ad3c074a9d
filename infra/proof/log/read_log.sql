-- The log's name, the number of events in its tree, and the number of all events.
SELECT origin, log.size, head.size FROM log, head
