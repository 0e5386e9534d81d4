"""`--input-size` of the commands: the same models as with the size in their keys, and one sentence where there are none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

import detection_core as dc
from detection_core.cli.main import main
from detection_core.models.catalog import ASSETS, COCO_MODEL, PERSON_MODEL
from tests.coco_folders import coco_folder

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    with Image.open(ASSETS / "examples" / "astronaut.jpg") as image:
        image.resize((160, 160)).save("image.png")
    return tmp_path


def run(*arguments: object) -> int:
    return main([*map(str, arguments)])


def test_detect(place):
    assert run("detect", "image.png", "--model", PERSON_MODEL, "--input-size", 480, "--out", "out", "--format", "json") == 0
    written = json.loads((place / "out" / "image_detections.json").read_text())
    assert written["provenance"]["model"] == f"{PERSON_MODEL}@480px"
    found = dc.Detector(f"{PERSON_MODEL}@480px").detect("image.png")
    assert dc.from_json(written).boxes == pytest.approx(found.boxes[found.scores >= written["provenance"]["threshold"]], abs=0.01)
    # Another size is another run: nothing of it is taken as done.
    assert run("detect", "image.png", "--model", PERSON_MODEL, "--out", "out", "--format", "json") == 0
    assert json.loads((place / "out" / "image_detections.json").read_text())["provenance"]["model"] == PERSON_MODEL


@pytest.mark.slow
def test_compare_takes_two_sizes_of_a_model(place, capsys):
    sizes = (PERSON_MODEL, f"{PERSON_MODEL}@640px")
    assert run("compare", "image.png", "--models", *sizes, "--format", "json") == 0
    assert [each["name"] for each in json.loads(capsys.readouterr().out)["models"]] == list(sizes)


@pytest.mark.slow
def test_explain(capsys):
    assert run("explain", "image.png", "--model", PERSON_MODEL, "--at", 5, 5, "--input-size", 480, "--format", "json") == 0
    report = json.loads(capsys.readouterr().out)
    expected = dc.explain("image.png", f"{PERSON_MODEL}@480px", at=(5, 5)).to_json()
    assert report["model"] == expected["model"]
    assert report["sentence"] == expected["sentence"]


@pytest.mark.slow
def test_evaluate(place, capsys):
    folder = coco_folder(place / "data", images=1)
    models = ("--models", PERSON_MODEL, f"{PERSON_MODEL}@640px")
    assert run("evaluate", "--data", folder, *models, "--format", "json", "--resamples", 0) == 0
    assert list(json.loads(capsys.readouterr().out)["models"]) == [PERSON_MODEL, f"{PERSON_MODEL}@640px"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("detect", "--model", COCO_MODEL, "--input-size", 480), "SSDlite models have one input size only"),
        (("detect", "--model", PERSON_MODEL, "--input-size", 300), "must be from 320 to 1333 px, not 300 px"),
        (("detect", "--model", f"{PERSON_MODEL}@1400px"), "must be from 320 to 1333 px, not 1400 px"),
        (("detect", "--model", PERSON_MODEL, "--input-size", 0), "0 is not 1 or more"),
        (("compare", "--models", PERSON_MODEL, f"{PERSON_MODEL}@480px", "--input-size", 640), "two of the models are the same"),
        (("explain", "--model", COCO_MODEL, "--at", 1, 1, "--input-size", 480), "one input size only"),
        (("train", "--model", f"{PERSON_MODEL}@480px", "--out", "mine.pt"), "Leave “@480px” out of --model"),
    ],
    ids=str,
)
def test_what_is_impossible_is_reported(place, capsys, arguments, sentence):
    command, *options = arguments
    where = ["--data", coco_folder(place / "data")] if command == "train" else ["image.png"]
    try:
        status = run(command, *where, *options)
    except SystemExit as stopped:
        status = stopped.code
    assert status == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert "Traceback" not in said
