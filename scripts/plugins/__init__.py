"""Trials of the modules in infra/plugins, each in the framework that it is for."""
