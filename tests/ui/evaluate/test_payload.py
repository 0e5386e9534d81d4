"""What the browser gets of an evaluation, and the figures that it must compute from it: tests/js compares with these."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detection_core.evaluation.calibration import calibration
from detection_core.evaluation.confusion import Confusions
from detection_core.evaluation.curves import Curves
from detection_core.evaluation.match import Matches
from detection_core.evaluation.paired import compare_models
from detection_core.ui.evaluate.payload import detection_columns
from tests.evaluation.scenes import random_scene

EXPECTED = Path(__file__).parents[2] / "js" / "evaluation.json"
THRESHOLDS = (0.0, 0.31, 0.5, 0.777)
BY_CLASS = (0.0, 0.2, 0.6, 0.4)
SEEDS = (3, 4)


def model(matches: Matches) -> dict[str, Any]:
    """A model's columns, and what Python computes at an IoU of 0.5."""
    curves, confusions = Curves(matches), Confusions(matches)
    labels = range(1, len(matches.truth.categories))
    bins = calibration(matches)
    return {
        "detections": detection_columns(matches, 0)[0],
        "points": [[(point.right, point.wrong, point.objects) for point in curves.at(threshold)[1:]] for threshold in THRESHOLDS],
        "together": [(point.right, point.wrong, point.objects) for point in map(curves.together, (*THRESHOLDS, BY_CLASS))],
        "best": [curves.best(), *(curves.best(label) for label in labels)],
        "curve": {name: getattr(curves.curve(), name).tolist() for name in ("scores", "precision", "recall", "f1")},
        "confusion": [confusions.at(each).counts.tolist() for each in (*THRESHOLDS, BY_CLASS)],
        "calibration": {"right": bins.right.tolist(), "wrong": bins.wrong.tolist(), "error": bins.error},
    }


def expected() -> dict[str, Any]:
    """The same images and objects with two models."""
    scene = random_scene(SEEDS[0])
    other = random_scene(SEEDS[1])
    first = scene.matches()
    second = type(scene)(scene.dataset, other.results).matches()
    truth = first.truth
    paired = compare_models(first, second, 0.31, 0.5)
    return {
        "thresholds": THRESHOLDS,
        "byClass": BY_CLASS,
        "images": len(truth.images),
        "objects": {
            "image": truth.image.tolist(),
            "label": truth.label.tolist(),
            "ignored": truth.ignored.astype(int).tolist(),
            "box": truth.boxes.tolist(),
        },
        "counts": truth.objects.tolist(),
        "models": [model(first), model(second)],
        "paired": {
            "both": paired.both,
            "onlyA": paired.only_a.tolist(),
            "onlyB": paired.only_b.tolist(),
            "neither": paired.neither,
            "wrong": [paired.wrong_a, paired.wrong_b],
            "images": [[paired_image.image_id, paired_image.errors_a, paired_image.errors_b] for paired_image in paired.images],
            "imageIds": [image.id for image in truth.images],
            "p": paired.p_value,
        },
    }


def test_the_file_that_the_browsers_modules_are_compared_with_is_what_python_computes():
    """`python -m tests.ui.evaluate.test_payload --write` writes it anew."""
    written = json.loads(EXPECTED.read_text("utf-8"))
    computed = json.loads(json.dumps(expected()))
    assert written.keys() == computed.keys()
    assert written["models"][0]["confusion"] == computed["models"][0]["confusion"]
    assert written["objects"] == computed["objects"]
    assert written["paired"] == computed["paired"]
    assert [each["together"] for each in written["models"]] == [each["together"] for each in computed["models"]]
    # Otherwise the comparison would mean little.
    counts = np.array(written["models"][0]["confusion"][1])
    assert counts[0, 1:].any()
    assert counts[1:, 0].any()
    assert (counts[1:, 1:] - np.diag(np.diag(counts[1:, 1:]))).any()


@pytest.mark.parametrize("most", [1, 7, 40])
def test_with_too_many_detections_the_highest_scores_are_complete(most: int):
    matches = random_scene(SEEDS[0]).matches()
    everything, _ = detection_columns(matches, 0)
    columns, floor = detection_columns(matches, 0, most)
    assert 0 <= len(columns["score"]) <= most
    assert columns["score"] == [score for score in everything["score"] if score >= floor]
    assert all(detection < len(columns["score"]) for detection in columns["pairs"][::2])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Writes the figures with which the browser's modules are compared.")
    parser.add_argument("--write", action="store_true", required=True)
    parser.parse_args()
    EXPECTED.write_text(json.dumps(expected()) + "\n", "utf-8")
