"""Keeps the models that somebody may have put into this checkout out of all tests."""

from __future__ import annotations

import os

# Before any test asks for the catalog: many are made for each of its models.
os.environ["DETECTION_EXPLORER_MODELS_DIR"] = ""
