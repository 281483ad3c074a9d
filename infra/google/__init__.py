"""Google's job APIs, apart from how a call arrives."""
