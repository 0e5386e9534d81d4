"""Tests at full size that recordings of the large models end in torchvision's result, stay small, and answer every question."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.random_models import calibrated_module
from detection_core.detections import Detections
from detection_core.explanation import GradientMap, Query, Recording, drise, record, what_if, why, why_not
from detection_core.explanation.selection import FATES, Fate
from detection_core.models.catalog import ASSETS, get_model_spec
from detection_core.models.detector import run

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.slow]

KEYS = (
    "ssd300_vgg16",
    "fcos_resnet50_fpn",
    "retinanet_resnet50_fpn_v2",
    "maskrcnn_resnet50_fpn_v2",
    # Its two weights have the same architecture.
    "keypointrcnn_resnet50_fpn",
)
# At 1024×800; `Recording` says what larger ones take.
MOST_BYTES = 17_000_000
# What is said of candidates that end so; no random weights of a model end in all of them.
WORDS = {
    Fate.BELOW_MIN_SCORE: "the model keeps only scores above",
    Fate.NOT_IN_TOP_K: "only the best",
    Fate.SUPPRESSED: "their overlap (IoU) is",
    Fate.CUT: "the model returns at most",
    Fate.KEPT: "is in the model's result",
}


def reasons_at(recording: Recording, index: int) -> str:
    """What became of a candidate's class at its place."""
    left, top, right, bottom = recording.in_image(recording.candidates.boxes[[index]])[0].tolist()
    query = Query(box=(left, top, right, bottom), label=int(recording.candidates.labels[index]))
    found = [place for place in why_not(recording, query, 0).places if place.place == recording.candidates.places[index]]
    return found[0].classes[0].reason


@pytest.mark.parametrize("key", KEYS)
def test_every_question_has_its_answer(key: str):
    with Image.open(ASSETS / "examples" / "dogs.jpg") as image:
        pixels = np.asarray(image.convert("RGB"))
    module, spec = calibrated_module(key, size=None), get_model_spec(f"{key}@stock")

    def detect(image: np.ndarray) -> Detections:
        return run(module, spec, [image], torch.device("cpu"), tasks=("boxes",))[0][0]

    recording, expected = record(module, spec, pixels), detect(pixels)
    kept, fates = recording.selection.kept, recording.selection.fates
    assert len(kept) > 1
    np.testing.assert_array_equal(recording.in_image(recording.candidates.boxes[kept]), expected.boxes)
    np.testing.assert_array_equal(recording.candidates.labels[kept], expected.labels)
    np.testing.assert_array_equal(recording.candidates.scores[kept], expected.scores)
    assert len(pickle.dumps(recording)) < MOST_BYTES

    sides = recording.candidates.boxes[:, 2:] - recording.candidates.boxes[:, :2]
    for fate, words in WORDS.items():
        ended = np.flatnonzero((fates == FATES.index(fate)) & (sides > 1).all(axis=1))
        # Those with the best scores are among the few places that an answer lists.
        for index in ended[np.argsort(-recording.candidates.scores[ended])][:1]:
            assert words in reasons_at(recording, int(index)), fate
    assert "in the model's result" in reasons_at(recording, int(kept[0]))
    assert "IoU of at least 0.50" in why_not(recording, Query(box=(1, 1, 2, 1000)), 0.5).sentence
    assert len(what_if(recording, limit=1).detections) == 1

    answer = why(recording, 0)
    np.testing.assert_allclose(answer.refinements[-1].box, expected.boxes[0])
    heat = GradientMap.of(recording, 0)(module, spec, pixels)
    assert 0 <= heat.min() < heat.max() == 1
    assert drise(pixels, detect, answer.refinements[-1].box, int(expected.labels[0]), masks=1).shape == pixels.shape[:2]
