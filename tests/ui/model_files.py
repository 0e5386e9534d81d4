"""Makers of files for a models folder: small ones, of models that know nothing and so see a bit of every class everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from detection_core.models.catalog import PERSON_MODEL, Architecture
from detection_core.models.checkpoint import BACKGROUND
from tests.random_models import hollow_content

PETS = ("cat", "dog")
HAND = ("nose", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "thumb", "tip <b>of</b> it")
_DETECTOR = Architecture("ssdlite320_mobilenet_v3_large", {"num_classes": 1 + len(PETS)})
_SKELETONS = Architecture(PERSON_MODEL, {"num_classes": 2, "num_keypoints": len(HAND)})


def put_model(path: Path, classes: tuple[str, str] = PETS, **changes: Any) -> Path:
    """Writes a detector of two classes whose weights are all zero: both have a score of 1/3 everywhere.

    Args:
        path: The file.
        classes: Their names.
        changes: Other parts of the file to replace.
    """
    torch.save(hollow_content(_DETECTOR) | {"categories": (BACKGROUND, *classes), "default_threshold": 0.2} | changes, path)
    return path


def put_skeletons(path: Path) -> Path:
    """Writes a detector of hands with masks and seven keypoints, two of them a left one's, whose logits are all 5."""
    content = hollow_content(_SKELETONS)
    logits = "roi_heads.keypoint_predictor.kps_score_lowres.bias"
    content["state"][logits] = torch.full_like(content["state"][logits], 5)
    torch.save(content | {"categories": (BACKGROUND, "hand"), "keypoint_names": HAND, "default_threshold": 0.2}, path)
    return path
