"""Pages that the HTTP server gives out: HTML with places for text, and what goes with it."""
