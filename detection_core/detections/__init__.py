"""The detections in an image and operations on them: filtering, matching, comparison and tracking. NumPy only."""

from detection_core.detections.core import Detections, in_words, plural

__all__ = ["Detections", "in_words", "plural"]
