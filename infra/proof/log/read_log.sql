-- What the log is called, how many events are in its tree, and how many there are.
SELECT origin, log.size, head.size FROM log, head
