"""Fuzzing of everything that reads what users and browsers send: `python -m tests.fuzz --help`."""
