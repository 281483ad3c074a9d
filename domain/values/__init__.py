"""Values: JSON, names, labels, times, schedules and filters, checked and encoded."""
