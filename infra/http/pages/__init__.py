"""The routes of the pages that people see."""
