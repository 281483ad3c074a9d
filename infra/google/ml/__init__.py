"""AI Platform ml v1: training and prediction jobs."""
