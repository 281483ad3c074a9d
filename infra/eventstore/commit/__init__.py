"""The group commit: decides and appends all waiting writes in one transaction, and answers their callers."""
