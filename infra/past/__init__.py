"""Time travel: jobs as of any moment, on either clock, and what follows from comparing moments."""
