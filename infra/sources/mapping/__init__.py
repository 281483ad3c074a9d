"""Imports files of other systems with a mapping: a YAML file that describes what each record means."""
