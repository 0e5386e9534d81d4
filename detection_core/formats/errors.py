"""Errors raised when results are read from files."""

from __future__ import annotations

from detection_core.errors import UserError


class ResultsFormatError(UserError, ValueError):
    """Raised for results that cannot be read; the message tells the user what is wrong and at which entry."""


class SeveralImagesError(ResultsFormatError):
    """Raised if a file covers several images and none was chosen; the message lists their ids."""


class InvalidEntryError(ResultsFormatError):
    """Raised for one invalid entry, which the message names by its index; the others may be readable without it."""
