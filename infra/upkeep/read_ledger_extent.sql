-- How many events the ledger has, how many of them its log's tree covers, and the log's name.
SELECT head.size, log.size, log.origin FROM head, log
