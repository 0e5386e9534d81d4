"""Tests that `compare` prints and writes the models' results and their agreement, and continues without a model that fails."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detection_core.cli.main import main
from detection_core.formats import from_json
from detection_core.models.catalog import ASSETS
from tests.ui.model_files import put_model

# (COCO's category, score, x, y, width, height)
ONE = [(1, 0.9, 10, 10, 50, 100), (18, 0.8, 80, 60, 40, 40), (17, 0.7, 20, 130, 20, 20), (1, 0.1, 0, 0, 150, 150)]
TWO = [(1, 0.8, 10, 10, 50, 80), (17, 0.6, 80, 60, 40, 40), (1, 0.55, 100, 0, 20, 20), (1, 0.2, 90, 110, 20, 20)]
MISSING = "ssdlite320_mobilenet_v3_large"


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """The current folder: an image, and what two other tools found in it."""
    monkeypatch.chdir(tmp_path)
    with Image.open(ASSETS / "examples" / "astronaut.jpg") as image:
        image.resize((160, 160)).save("image.png")
    put_results("one.json", ONE)
    put_results("two.json", TWO)
    return tmp_path


def put_results(path: str, entries: list[tuple], image_id: int = 1, more: list | None = None) -> None:
    data = [{"image_id": image_id, "category_id": label, "score": score, "bbox": box} for label, score, *box in entries]
    Path(path).parent.mkdir(exist_ok=True)
    Path(path).write_text(json.dumps(data + (more or [])))


def compare(*models: str, options: tuple = ()) -> int:
    return main(["compare", "image.png", "--models", *models, *map(str, options)])


def compare_json(capsys, *models: str, options: tuple = (), status: int = 0) -> dict:
    assert compare(*models, options=("--format", "json", *options)) == status
    return json.loads(capsys.readouterr().out)


def cells(line: str) -> list[str]:
    return re.split(" {2,}", line)


def test_tables(place, capsys):
    put_results("three.json", [(1, 0.9, 10, 10, 50, 90)])
    assert compare("one.json", "two.json", "three.json") == 0
    out, err = capsys.readouterr()
    models, pairs, votes = ([cells(line) for line in block.splitlines()] for block in out.split("\n\n"))
    assert models == [
        ["MODEL", "OBJECTS", "THRESHOLD", "FIRST RUN", "FOUND"],
        ["one", "3", "0.5", "-", "1 person, 1 dog, 1 cat"],
        ["two", "3", "0.5", "-", "2 persons, 1 cat"],
        ["three", "1", "0.5", "-", "1 person"],
    ]
    assert pairs == [
        ["A", "B", "MATCHED", "ONLY A", "ONLY B", "OTHER CLASS", "AGREEMENT", "MEAN IOU", "SCORE B-A"],
        ["one", "two", "1", "1", "1", "1", "25 %", "0.80", "-0.10"],
        ["one", "three", "1", "2", "0", "0", "33 %", "0.90", "+0.00"],
        ["two", "three", "1", "2", "0", "0", "33 %", "0.89", "+0.10"],
    ]
    assert votes == [["MODELS THAT AGREE", "OBJECTS"], ["at least 2 of 3", "1"], ["all 3", "1"]]
    assert err.splitlines()[0] == "[1/3] one: 1 person, 1 dog, 1 cat"


def test_long_names_have_files_all_the_same(place):
    names = [f"{letter}{'x' * 200}.json" for letter in "abc"]
    for name in names:
        put_results(name, ONE)
    assert compare(*names, options=("--out", "out")) == 0
    assert len(list((place / "out").glob("difference_*.png"))) == 3


@pytest.mark.parametrize("given", ["image", "model"])
def test_a_name_that_is_too_long_is_no_file(place, given, capsys):
    long = "x" * 300 + ".json"
    args = [long, "--models", "one.json", "two.json"] if given == "image" else ["image.png", "--models", "one.json", long]
    assert main(["compare", *args, "--out", "out"]) == 1
    assert ("could not be opened" if given == "image" else "cannot be read") in capsys.readouterr().err


@pytest.mark.slow
def test_a_closed_pipe_gives_no_traceback(place):
    command = [sys.executable, "-m", "detection_core", "compare", "image.png", "--models", "one.json", "two.json", "--format", "json"]
    environment = {**os.environ, "PYTHONPATH": str(ASSETS.parent)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        process.stdout.close()
        assert b"Traceback" not in process.stderr.read()
    assert process.returncode == 1


def test_that_the_image_is_cut_off_is_reported(place, capsys):
    data = (place / "image.png").read_bytes()
    (place / "image.png").write_bytes(data[: len(data) * 3 // 4])
    assert compare("one.json", "two.json", options=("--format", "json")) == 0
    captured = capsys.readouterr()
    note = "The file is cut off or damaged: a part of the image is missing."
    assert json.loads(captured.out)["notes"] == [note]
    assert captured.err.startswith(f"image.png: {note}\n")


def test_nothing_in_common_is_a_dash(place, capsys):
    put_results("none.json", [(1, 0.1, 1, 1, 9, 9)])
    assert compare("one.json", "none.json") == 0
    out = capsys.readouterr().out
    assert cells(out.splitlines()[5]) == ["one", "none", "0", "3", "0", "0", "0 %", "-", "-"]


def test_json_holds_everything(place, capsys):
    report = compare_json(capsys, "one.json", "two.json")
    assert (report["image"], report["iou_threshold"], report["failed"]) == ("image.png", 0.5, {})
    first, second = (from_json(model) for model in report["models"])
    assert (len(first), len(second), first.image_size) == (3, 3, (160, 160))
    np.testing.assert_array_equal(first.boxes[0], [10, 10, 60, 110])
    assert report["models"][0]["provenance"]["threshold"] == 0.5
    (pair,) = report["pairs"]
    assert (pair["a"], pair["b"]) == ("one", "two")
    assert pair["counts"] == {"matched": 1, "only_a": 1, "only_b": 1, "other_class": 1}
    assert pair["matched"] == [{"a": 0, "b": 0, "iou": pytest.approx(0.8), "score_difference": pytest.approx(-0.1)}]
    (agreed,) = report["consensus"]
    assert (agreed["name"], agreed["votes"], agreed["box"]) == ("person", 2, [10, 10, 60, 100])


@pytest.mark.parametrize(
    ("options", "objects", "matched", "threshold"),
    [
        ((), [3, 3], 1, 0.5),
        (("--threshold", 0.75), [2, 1], 1, 0.75),
        (("--threshold", 0), [4, 4], 1, 0),
        (("--top", 1), [1, 1], 1, None),
        (("--top", 99), [4, 4], 1, None),
        (("--iou", 0.81), [3, 3], 0, 0.5),
        (("--iou", 0.8), [3, 3], 1, 0.5),
    ],
    ids=lambda value: "".join(map(str, value)) if isinstance(value, tuple) else "",
)
def test_what_takes_part(place, capsys, options, objects, matched, threshold):
    report = compare_json(capsys, "one.json", "two.json", options=options)
    assert [len(model["objects"]) for model in report["models"]] == objects
    assert report["pairs"][0]["counts"]["matched"] == matched
    assert {model["provenance"]["threshold"] for model in report["models"]} == {threshold}


def test_files(place, capsys):
    written = compare_json(capsys, "one.json", "two.json", options=("--out", "new/out"))
    out = place / "new" / "out"
    assert {path.name for path in out.iterdir()} == {"comparison.json", "one.png", "two.png", "difference_one_two.png"}
    assert json.loads((out / "comparison.json").read_text()) == written
    images = {}
    for name in ("image.png", "new/out/one.png", "new/out/two.png", "new/out/difference_one_two.png"):
        with Image.open(name) as image:
            images[name] = image.convert("RGB").crop((0, 0, 160, 160)).tobytes()
            text = image.text
    assert len(set(images.values())) == 4
    settings = json.loads(text["Settings"])
    assert settings["counts"]["other_class"] == 1
    assert [settings[side]["weights"] for side in "ab"] == ["one.json", "two.json"]


def test_models_run(place, capsys):
    put_model(place / "pets.pt", classes=("cat", "dog"))
    (place / "mine").mkdir()
    put_model(place / "mine" / "others.pt", classes=("cat", "person"))
    report = compare_json(capsys, "one.json", "pets.pt", "others", options=("--models-dir", "mine"))
    _, pets, others = report["models"]
    assert [model["seconds"] is None for model in report["models"]] == [True, False, False]
    assert (pets["provenance"]["weights"], others["provenance"]["weights"]) == ("pets.pt", "others.pt")
    # Both know nothing and see the same everywhere, one calls half of it dogs and the other persons.
    assert (pets["provenance"]["threshold"], others["provenance"]["threshold"]) == (0.2, 0.2)
    counts = report["pairs"][2]["counts"]
    assert counts["matched"] == counts["other_class"] == len(pets["objects"]) / 2 > 0


def test_a_model_that_fails_does_not_affect_the_others(place, capsys, monkeypatch):
    for variable in ("TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(variable, str(place))
    monkeypatch.setenv("DETECTION_EXPLORER_WEIGHTS_MIRROR", "http://127.0.0.1:9/nowhere")
    (place / "bad.json").write_text("{")
    assert compare("one.json", MISSING, "bad.json", "gone.json", "two.json", options=("--format", "json", "--out", "out")) == 1
    out, err = capsys.readouterr()
    report = json.loads(out)
    assert [model["name"] for model in report["models"]] == ["one", "two"]
    assert set(report["failed"]) == {MISSING, "bad", "gone"}
    assert "cannot be downloaded" in report["failed"][MISSING]
    assert "Traceback" not in err
    for name, reason in report["failed"].items():
        assert f"{name}: {reason}" in err
    assert {path.name for path in (place / "out").iterdir()} == {"comparison.json", "one.png", "two.png", "difference_one_two.png"}


def test_one_model_left_is_nothing_to_compare(place, capsys):
    assert compare("one.json", "gone.json") == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1] == "Fewer than two models are left, so there is nothing to compare."


def test_results_of_several_images(place, capsys):
    put_results("two.json", TWO, image_id=7, more=[{"image_id": "x", "category_id": 1, "score": 1, "bbox": [0, 0, 9, 9]}])
    put_results("one.json", ONE, image_id=7)
    assert compare("one.json", "two.json") == 1
    assert re.search(r"two: .*7.*x", capsys.readouterr().err)
    report = compare_json(capsys, "one.json", "two.json", options=("--image-id", 7))
    assert len(report["models"][1]["objects"]) == 3


def test_an_image_id_with_zeros_is_a_number(place, capsys):
    put_results("one.json", ONE, image_id=139, more=[{"image_id": 140, "category_id": 1, "score": 1, "bbox": [0, 0, 9, 9]}])
    put_results("two.json", TWO, image_id="000000000139")
    report = compare_json(capsys, "one.json", "two.json", options=("--image-id", "000000000139"))
    assert [len(model["objects"]) for model in report["models"]] == [3, 3]


def test_an_image_is_found_by_its_name(place, capsys):
    put_results("one.json", ONE, image_id="image", more=[{"image_id": "other", "category_id": 1, "score": 1, "bbox": [0, 0, 9, 9]}])
    report = compare_json(capsys, "one.json", "two.json")
    assert report["notes"] == ["one: Of the 2 images in the file, this is taken for image, by its name."]
    assert len(report["models"][0]["objects"]) == 3


def test_invalid_entries_are_skipped_when_asked(place, capsys):
    put_results("one.json", ONE, more=[{"image_id": 1, "category_id": 1, "score": 1}])
    assert compare("one.json", "two.json") == 1
    message = "results[4]: it has no “bbox”, and no mask or keypoints from which to compute one."
    assert f"[1/2] one: {message} To read the file without invalid entries, add --skip-invalid.\n" in capsys.readouterr().err
    assert compare("one.json", "two.json", options=("--skip-invalid", "--format", "json")) == 0
    out, err = capsys.readouterr()
    note = f"1 of 5 entries is invalid and skipped; the first: {message}"
    assert err.splitlines()[0] == f"[1/2] one: {note}"
    assert json.loads(out)["notes"] == [f"one: {note}"]


@pytest.mark.parametrize(
    ("file", "content", "names"),
    [
        (None, "", ["class 0", "class 2"]),
        ("names.txt", "oak\nelm\nash\n", ["oak", "ash"]),
        ("data.yaml", "names: {0: oak, 1: elm, 2: ash}", ["oak", "ash"]),
        ("coco.json", '{"categories": [{"id": 2, "name": "ash"}, {"id": 0, "name": "oak"}]}', ["oak", "ash"]),
    ],
)
def test_ids_that_are_not_cocos_get_names_from_a_file(place, capsys, file, content, names):
    put_results("one.json", [(0, 0.9, 10, 10, 50, 100), (2, 0.8, 80, 60, 40, 40)])
    if file:
        (place / file).write_text(content)
    report = compare_json(capsys, "one.json", "two.json", options=("--classes", file) if file else ())
    assert [each["label"] for each in report["models"][0]["objects"]] == names
    assert (file is None) == any(note.startswith("one: Its category ids are not COCO's") for note in report.get("notes", []))


def test_ids_that_are_not_cocos_get_names_from_the_model_beside_them(place, capsys):
    put_model(place / "pets.pt", classes=("cat", "dog"))
    put_results("one.json", [(0, 0.9, 10, 10, 50, 100), (1, 0.8, 80, 60, 40, 40)])
    report = compare_json(capsys, "one.json", "pets.pt")
    assert [each["label"] for each in report["models"][0]["objects"]] == ["cat", "dog"]
    assert "They are taken for the classes of " in report["notes"][0]


def test_compressed_results_and_lines(place, capsys):
    (place / "three.json.gz").write_bytes(gzip.compress((place / "one.json").read_bytes()))
    (place / "four.jsonl").write_text("\n".join(map(json.dumps, json.loads((place / "one.json").read_text()))))
    report = compare_json(capsys, "three.json.gz", "four.jsonl")
    assert [(model["name"], len(model["objects"])) for model in report["models"]] == [("three", 3), ("four", 3)]


def test_models_of_the_same_name_are_numbered(place, capsys):
    put_results("b/one.json", TWO)
    report = compare_json(capsys, "one.json", "b/one.json", options=("--out", "out"))
    assert [model["name"] for model in report["models"]] == ["one", "one-2"]
    assert (place / "out" / "difference_one_one-2.png").exists()


@pytest.mark.parametrize("image", ["image.jpg", "one.json"], ids=["missing", "not an image"])
def test_no_image_is_status_1(place, capsys, image):
    assert main(["compare", image, "--models", "one.json", "two.json"]) == 1
    assert capsys.readouterr().err.startswith(f"{image}: ")


@pytest.mark.parametrize(
    ("models", "options", "message"),
    [
        (["one.json"], (), "at least two different models"),
        (["one.json", "one.json"], (), "at least two different models"),
        (["one.json", "yolo"], (), "no model “yolo”"),
        (["one.json", "two.json"], ("--device", "abacus"), "device “abacus”"),
        (["one.json", "two.json"], ("--out", "image.png/x"), "cannot be created"),
        (["one.json", "two.json"], ("--models-dir", "gone"), "gone"),
        (["one.json", "two.json"], ("--classes", "gone.txt"), "“gone.txt” cannot be read"),
        (["one.json", "two.json"], ("--classes", "two.json"), "categories[0] must have"),
    ],
    ids=["one model", "twice the same", "unknown model", "device", "folder", "models folder", "no classes", "not classes"],
)
def test_bad_usage_is_status_2(place, capsys, models, options, message):
    assert compare(*models, options=options) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("name", ["one.png", "difference_one_two.png", "comparison.json"])
def test_no_input_is_written_over(place, capsys, name):
    models = ["one.json", "two.json"]
    if name.endswith("png"):
        (place / "image.png").rename(place / name)
        args = [name, "--models", *models]
    else:
        put_results(name, TWO)
        args = ["image.png", "--models", *models, name]
    before = hashlib.md5((place / name).read_bytes()).hexdigest()
    assert main(["compare", *args, "--out", str(place)]) == 2
    assert f"“{name}” would be overwritten" in capsys.readouterr().err
    assert hashlib.md5((place / name).read_bytes()).hexdigest() == before


@pytest.mark.parametrize(
    "options",
    [("--iou", "0"), ("--iou", "1.1"), ("--top", "0"), ("--threshold", "2"), ("--threshold", "0.5", "--top", "3"), ("--format", "xml")],
    ids=" ".join,
)
def test_the_parser_refuses_with_status_2(place, options):
    with pytest.raises(SystemExit) as caught:
        compare("one.json", "two.json", options=options)
    assert caught.value.code == 2


def test_results_that_cannot_be_written_are_reported(place, capsys):
    (place / "out" / "one.png").mkdir(parents=True)
    assert compare("one.json", "two.json", options=("--out", "out")) == 1
    out, err = capsys.readouterr()
    assert "MATCHED" in out
    assert "cannot be written to “out”" in err
