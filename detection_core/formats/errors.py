"""The error of every reader of results from files."""

from __future__ import annotations

from detection_core.errors import UserError


class ResultsFormatError(UserError, ValueError):
    """Results cannot be read; the message says in one sentence, for people, what is wrong and at which entry."""


class SeveralImagesError(ResultsFormatError):
    """The file is about several images and nobody has said which; the message lists their ids."""
