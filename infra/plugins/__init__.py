"""Small modules that report to the ledger from within a framework, where its database cannot be followed."""
