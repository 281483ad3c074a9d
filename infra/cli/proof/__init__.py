"""Commands of the log: keys, receipts, verification, a witness."""
