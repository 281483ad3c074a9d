"""Histories of clusters: the trace of Google from 2011, and a simulated week."""
