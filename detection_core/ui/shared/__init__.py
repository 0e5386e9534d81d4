"""Shared by tabs and endpoints on the server: visitors, uploads, served files, limits, progress, examples and links."""
