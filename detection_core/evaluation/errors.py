"""What cannot be evaluated, in words for people."""

from __future__ import annotations

from detection_core.errors import UserError


class EvaluationError(UserError, ValueError):
    """A model or a setting does not fit the data; the message says why and what to do."""
