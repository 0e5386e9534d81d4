"""Fine-tuning of every detector with torchvision's contract: images and targets in, a dict of losses out."""

from detection_core.errors import UserError


class TrainingError(UserError, ValueError):
    """What was asked for cannot be trained; the message says why and what to do, for people."""
