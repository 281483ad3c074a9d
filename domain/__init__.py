"""What a job is and what may happen to it. No clock, no ids, no I/O."""
