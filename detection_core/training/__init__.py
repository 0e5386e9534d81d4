"""Fine-tuning of every detector with torchvision's contract: images and targets in, a dict of losses out."""

from detection_core.errors import UserError


class TrainingError(UserError, ValueError):
    """The requested training is not possible; the message tells the user why, and what to do."""
