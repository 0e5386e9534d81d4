"""What was found in an image, and its arithmetic: filtering, matching, comparing, tracking; NumPy only."""

from detection_core.detections.core import Detections, in_words, plural

__all__ = ["Detections", "in_words", "plural"]
