"""Commands that show how this installation is: `doctor` and `settings`."""
