"""Kubernetes: Jobs, their Pods, Events and Kueue's Workloads, watched or read from files."""
