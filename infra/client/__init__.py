"""The ledger through its server: the verbs and reads of `Ledger` over HTTP, for threads and for asyncio."""
