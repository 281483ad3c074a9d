"""Faults of servers, networks and clients: a matrix of them, clients that log, and a judge of what they were promised."""
