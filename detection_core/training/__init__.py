"""Fine-tuning of every detector with torchvision's contract: images and targets in, a dict of losses out."""
