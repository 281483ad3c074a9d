"""Statistics over many jobs: throughput, queue and run times, failures, concurrency, attempts."""
