"""Metrics: what was predicted compared with what is true, and how far annotators agree."""
