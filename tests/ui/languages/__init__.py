"""Tests of the page in other languages."""
