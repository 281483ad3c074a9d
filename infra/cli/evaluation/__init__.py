"""Commands of evaluation jobs and labeling."""
