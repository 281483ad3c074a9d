"""The group commit: writes that wait together, decided, appended and answered."""
