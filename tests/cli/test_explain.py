"""Tests that `explain` prints and writes what `dc.explain` returns, and rejects wrong questions in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

import detection_core as dc
from detection_core.cli.main import main
from detection_core.explanation import Why
from detection_core.models.catalog import ASSETS, COCO_MODEL, PERSON_MODEL

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    with Image.open(ASSETS / "examples" / "dogs.jpg") as image:
        image.resize((256, 202)).save("image.png")
    return tmp_path


def explain(*options: object) -> int:
    return main(["explain", "image.png", "--model", COCO_MODEL, *map(str, options)])


def without_times(report: dict) -> dict:
    return report | {"stages": [stage | {"seconds": None} for stage in report["stages"]]}


@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        (("--at", 30, 40), {"at": (30, 40)}),
        (("--box", 60, 40, 130, 150, "--threshold", 0.99), {"box": (60, 40, 130, 150), "threshold": 0.99}),
        (("--at", 95, 90, "--class", "cat"), {"at": (95, 90), "label": "cat"}),
        (("--object", 0), {"number": 0}),
    ],
)
def test_same_as_in_python(place, capsys, options: tuple, arguments: dict):
    assert explain(*options, "--format", "json") == 0
    report = json.loads(capsys.readouterr().out)
    expected = dc.explain("image.png", COCO_MODEL, **arguments)
    assert without_times(report) == without_times(json.loads(json.dumps(expected.to_json())))
    assert explain(*options) == 0
    assert capsys.readouterr().out == expected.sentence + "\n"


def test_files(place, capsys):
    assert explain("--object", 0, "--saliency", 3, "--out", "out") == 0
    assert "Saliency: 3 of 3 runs, about 0 s left" in capsys.readouterr().err
    report = json.loads((place / "out" / "explanation.json").read_text())
    assert report["why"]["name"] == "dog"
    names = {path.stem for path in (place / "out").glob("*.png")}
    assert {"answer", "result", "input", "features_16", "scores_16", "saliency"} <= names
    with Image.open(place / "out" / "answer.png") as image:
        assert image.size == (256, 202)


def test_the_quick_saliency_map(place, capsys):
    assert explain("--object", 0, "--quick-saliency", "--out", "out") == 0
    expected = dc.explain("image.png", COCO_MODEL, number=0, quick_saliency=True)
    assert expected.saliency is not None
    assert expected.saliency.shape == (202, 256)
    with Image.open(place / "out" / "saliency.png") as image:
        assert image.tobytes() == expected.images()["saliency"].tobytes()


def test_a_two_stage_model(place):
    explanation = dc.explain("image.png", PERSON_MODEL, at=(95, 90))
    assert explanation.to_json()["first_stage_settings"]["top_k"] == 500
    assert set(explanation.images()) >= {"answer", "scores_pool"}
    assert not isinstance(explanation.answer, Why)
    assert explanation.answer.first_stage is not None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--at", 999, 0), "outside the image"),
        (("--object", 999), "There is no object 999"),
        (("--at", 1, 1, "--class", "unicorn"), "does not know the class “unicorn”"),
        (("--object", 0, "--class", "dog"), "only with a point or a box"),
        (("--at", 1, 1, "--saliency", 5), "give the object's number"),
        (("--at", 1, 1, "--quick-saliency"), "give the object's number"),
        (("--object", 0, "--saliency", 5, "--quick-saliency"), "Choose either"),
    ],
)
def test_wrong_questions(place, capsys, options: tuple, message: str):
    assert explain(*options) == 2
    assert message in capsys.readouterr().err


def test_the_image_is_not_overwritten(place, capsys):
    (place / "image.png").rename(place / "answer.png")
    assert main(["explain", "answer.png", "--model", COCO_MODEL, "--at", "30", "40", "--out", "."]) == 2
    assert "would be overwritten" in capsys.readouterr().err
