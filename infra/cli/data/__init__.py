"""Commands that report, export, erase and prune."""
