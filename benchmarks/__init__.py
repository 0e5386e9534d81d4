"""Measurements behind the project's claims; each script prints its own table."""
