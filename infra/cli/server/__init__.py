"""Commands of operators: set-up, servers, tokens."""
