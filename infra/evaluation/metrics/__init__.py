"""Metrics of classification and of bounding boxes, and their plots."""
