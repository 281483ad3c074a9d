"""The methods of a ledger about its history: each resolves the moments asked for, and calls the room."""
