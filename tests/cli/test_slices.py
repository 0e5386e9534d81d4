"""`--slices` of the commands: the same models as with the slices in their keys."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import detection_core as dc
from detection_core.cli import detect_images
from detection_core.cli.main import main
from detection_core.models.catalog import ASSETS, COCO_MODEL, PERSON_MODEL
from tests.coco_folders import coco_folder

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    with Image.open(ASSETS / "examples" / "astronaut.jpg") as image:
        image.resize((200, 200)).save("image.png")
    return tmp_path


def run(*arguments: object) -> int:
    return main([*map(str, arguments)])


def test_detect(place):
    assert run("detect", "image.png", "--model", COCO_MODEL, "--slices", 160, "--out", "out", "--format", "json") == 0
    written = json.loads((place / "out" / "image_detections.json").read_text())
    assert written["provenance"]["model"] == f"{COCO_MODEL}@slices160"
    found = dc.Detector(f"{COCO_MODEL}@slices160").detect("image.png")
    kept = found.scores >= written["provenance"]["threshold"]
    read = dc.from_json(written)
    np.testing.assert_allclose(read.boxes, found.boxes[kept], atol=0.01)
    assert found.whole_scores is not None
    np.testing.assert_allclose(read.whole_scores, found.whole_scores[kept], atol=1e-4)


def test_an_image_that_takes_long_says_how_far_it_is(monkeypatch, capsys):
    clock = iter(range(0, 100, 3))
    monkeypatch.setattr(detect_images, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    report = detect_images.SliceReport()
    for _ in "ab":
        for done in range(1, 8):
            report(done, 7)
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["3 of 7 slices, 12 s left", "5 of 7 slices, 6 s left"] * 2


@pytest.mark.slow
def test_compare_takes_a_model_whole_and_in_slices(capsys):
    models = (PERSON_MODEL, f"{PERSON_MODEL}@slices160")
    assert run("compare", "image.png", "--models", *models, "--format", "json") == 0
    assert [each["name"] for each in json.loads(capsys.readouterr().out)["models"]] == list(models)
    assert run("compare", "image.png", "--models", *models, "--slices", 160) == 2
    assert "two of the models are the same" in capsys.readouterr().err


@pytest.mark.slow
def test_evaluate(place, capsys):
    folder = coco_folder(place / "data", images=1)
    models = ("--models", PERSON_MODEL, f"{PERSON_MODEL}@slices128")
    assert run("evaluate", "--data", folder, *models, "--format", "json", "--resamples", 0) == 0
    assert list(json.loads(capsys.readouterr().out)["models"]) == [PERSON_MODEL, f"{PERSON_MODEL}@slices128"]


@pytest.mark.parametrize("side", [127, 4097])
def test_a_side_out_of_range_is_one_sentence(side, capsys):
    assert run("detect", "image.png", "--model", COCO_MODEL, "--slices", side) == 2
    assert f"Slices have 128 to 4096 pixels, not {side}." in capsys.readouterr().err


@pytest.mark.slow
def test_an_explanation_says_that_it_is_of_the_whole_image(capsys):
    assert run("explain", "image.png", "--model", f"{PERSON_MODEL}@slices160", "--at", 5, 5, "--format", "json") == 0
    assert "What the model found in slices only is not part of it." in capsys.readouterr().out
