"""Fine-tuning of every detector with torchvision's contract: images and targets in, a dict of losses out."""


class TrainingError(ValueError):
    """The requested training is not possible; the message tells the user why, and what to do."""
