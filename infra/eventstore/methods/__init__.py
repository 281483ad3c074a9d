"""The methods of a ledger that write one event: commands and reports."""
