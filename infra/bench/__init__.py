"""`jobledger bench`: each figure beside a peer's or a limit's, measured in the same run."""
