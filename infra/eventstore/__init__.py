"""The write path and the stored events: what callers ask for, the group commit, and the feed."""
