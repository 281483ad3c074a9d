"""The drop-in recorder and mapper for the eventsourcing library."""
