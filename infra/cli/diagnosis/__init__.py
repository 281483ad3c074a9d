"""Commands that check and show this installation: `doctor` and `settings`."""
