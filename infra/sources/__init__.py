"""Jobs of other systems: OpenLineage events, files with a mapping, databases and clusters."""
