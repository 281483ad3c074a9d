"""The rules of a job: states, events and their fold. No clock, no ids, no I/O."""
