from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from detection_core.cli.main import main
from detection_core.datasets.coco import read_coco
from detection_core.models.catalog import COCO_MODEL
from tests.coco_folders import coco_folder, edit
from tests.datasets.test_coco_layout import TRAIN, VAL, laid_out
from tests.datasets.test_voc import an_object, voc_folder
from tests.datasets.test_yolo import ULTRALYTICS, yolo_folder


def evaluate(data, *options: str) -> int:
    return main(["evaluate", "--data", str(data), *map(str, options)])


@pytest.fixture
def folder(tmp_path):
    return coco_folder(tmp_path / "data", images=3)


@pytest.fixture
def others(folder, tmp_path):
    """Another tool's results, of which those of dogs are wrong."""
    dataset = read_coco(folder)
    entries = [
        {"image_id": image.id, "category_id": a["category_id"], "bbox": a["bbox"] if a["category_id"] == 1 else [0, 0, 3, 3], "score": 0.8}
        for image in dataset.images
        for a in image.annotations
    ]
    file = tmp_path / "others.json"
    file.write_text(json.dumps(entries))
    return file


def test_models_and_results_are_measured(folder, others, tmp_path, capsys):
    """With a built-in model; the second run reads what the first has written."""
    out = tmp_path / "out"
    options = ["--models", COCO_MODEL, "--results", others, "--out", out, "--resamples", "10"]
    assert evaluate(folder, *options) == 0
    said = capsys.readouterr()
    heads, built_in, other, _, pair_heads, pair = said.out.splitlines()
    assert heads.split()[:3] == ["MODEL", "AP", "95"]
    assert (built_in.split()[0], other.split()[:2], pair.split()[:2]) == (COCO_MODEL, ["others", "0.500"], [COCO_MODEL, "others"])
    assert pair_heads.split()[:2] == ["A", "B"]
    assert f"Report: {out / 'report.html'}" in said.err
    assert {path.name for path in out.iterdir()} == {"report.html", "metrics.json", "per_class.csv", "thresholds.json", "raw"}
    records = {path: path.stat().st_mtime_ns for path in (out / "raw").rglob("*.json")}
    assert len(records) == 3
    assert evaluate(folder, *options) == 0
    assert {path: path.stat().st_mtime_ns for path in (out / "raw").rglob("*.json")} == records


def test_json_has_the_figures_of_the_report(folder, others, tmp_path, capsys):
    assert evaluate(folder, "--results", others, "--format", "json", "--out", tmp_path / "out", "--threshold", "0.9") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert printed["models"]["others"]["AP"] == pytest.approx(0.5)
    assert printed["models"]["others"]["at_threshold"]["recall"] == 0


@pytest.mark.parametrize(
    ("limits", "status"), [(["AP=0.30"], 0), (["AP=0.30", "AP50=0.51"], 1), (["F1=0.6"], 1), (["APL=0.1"], 1), (["AR10=0.5"], 0)]
)
def test_fails_below_a_limit(folder, others, capsys, limits, status):
    assert evaluate(folder, "--results", others, "--fail-under", *limits) == status
    assert ("below" in capsys.readouterr().err) == bool(status)


def test_a_model_that_fails_leaves_the_others(folder, others, tmp_path, capsys):
    (tmp_path / "broken.json").write_text("[{}]")
    assert evaluate(folder, "--results", others, tmp_path / "broken.json") == 1
    said = capsys.readouterr()
    assert "broken is not evaluated" in said.err
    assert said.out.splitlines()[1].startswith("others")


@pytest.mark.parametrize(("thresholds", "recall"), [(["0.9"], 0), (["others=0.9"], 0), (["0.9", "others=0.7"], 0.5), ([], 0.5)])
def test_thresholds_of_all_models_or_of_one(folder, others, capsys, thresholds, recall):
    assert evaluate(folder, "--results", others, "--format", "json", *(["--threshold", *thresholds] if thresholds else [])) == 0
    assert json.loads(capsys.readouterr().out)["models"]["others"]["at_threshold"]["recall"] == recall


def test_thresholds_of_a_file(folder, others, tmp_path, capsys):
    file = tmp_path / "thresholds.json"
    file.write_text(json.dumps({"thresholds": {"others": {"all": 0.9, "classes": {"person": 0.3}}}}))
    assert evaluate(folder, "--results", others, "--format", "json", "--thresholds", file, "--out", tmp_path / "out") == 0
    figures = json.loads(capsys.readouterr().out)["models"]["others"]
    assert (figures["at_threshold"]["threshold"], figures["at_threshold"]["recall"]) == (0.9, 0.5)
    # The run's own file gives the same again.
    assert json.loads((tmp_path / "out" / "thresholds.json").read_text()) == json.loads(file.read_text())
    file.write_text('{"thresholds": {"mine": 0.9}}')
    assert evaluate(folder, "--results", others, "--thresholds", file) == 0
    assert "others: the thresholds file has no threshold of it" in capsys.readouterr().err


def test_chosen_and_renamed_classes(folder, others, capsys):
    assert evaluate(folder, "--results", others, "--classes", "person", "--resamples", "0") == 0
    assert capsys.readouterr().out.splitlines()[1].split()[1:3] == ["1.000", "-"]
    assert evaluate(folder, "--results", others, "--map", "dog=person", "person=") == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[1].split()[1] == "0.000"
    assert "Classes of another name: dog → person." in said.err


def yolo(path):
    return yolo_folder(path, ULTRALYTICS, {"1": "0 0.5 0.5 0.25 0.5"})


def voc(path):
    return voc_folder(path, an_object(76, 26, 125, 75, name="person"), xml="Annotations/1.xml", image="JPEGImages/1.png")


@pytest.mark.parametrize("made", [yolo, voc])
@pytest.mark.parametrize("archived", [False, True])
def test_other_formats(tmp_path, capsys, made, archived):
    data = made(tmp_path / "data")
    if archived:
        with zipfile.ZipFile(tmp_path / "data.zip", "w") as file:
            for path in data.rglob("*"):
                file.write(path, path.relative_to(tmp_path))
        data = tmp_path / "data.zip"
    results = tmp_path / "results.json"
    results.write_text(json.dumps([{"image_id": 1, "category_id": 1, "bbox": [75, 25, 50, 50], "score": 0.9}]))
    assert evaluate(data, "--results", results) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[1] == "1.000"


@pytest.mark.parametrize("archived", [False, True])
def test_parts_of_cocos_own_folders(tmp_path, capsys, archived):
    data = laid_out(tmp_path / "coco", {VAL: "val2017", TRAIN: "train2017"})
    dataset = read_coco(data / TRAIN)
    results = tmp_path / "results.json"
    entries = [{**a, "score": 0.9} for image in dataset.images for a in image.annotations]
    results.write_text(json.dumps([{key: entry[key] for key in ("image_id", "category_id", "bbox", "score")} for entry in entries]))
    if archived:
        data = Path(shutil.make_archive(str(data), "zip", tmp_path, "coco"))
    assert evaluate(data, "--results", results, "--split", "train") == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[1].split()[1] == "1.000"
    assert f"The annotations in {TRAIN} are read. Also there: {VAL}." in said.err
    assert evaluate(data, "--results", results, "--split", "test") == 2
    assert "has no annotations for “test”. Its parts are: train, val." in capsys.readouterr().err


def test_faulty_data_is_refused_as_for_training(folder, others, capsys):
    edit(folder, lambda data: data["annotations"][0].update(bbox=[5, 5, 0, 0]))
    Image.new("RGB", (5, 5)).save(folder / "images" / "2.png")
    assert evaluate(folder, "--results", others) == 2
    said = capsys.readouterr().err
    assert "annotation 1: its box is 0 × 0 pixels" in said
    assert "2 faults in the data. Correct them, or continue without them by --skip-invalid." in said
    assert evaluate(folder, "--results", others, "--skip-invalid") == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "Name at least one model"),
        (["--models", "nonsense"], "no model “nonsense”"),
        (["--models", COCO_MODEL, COCO_MODEL], "each only once"),
        (["--results", "{others}", "--classes", "boat"], "no class “boat”"),
        (["--results", "{others}", "--threshold", "mine=0.5"], "names “mine”, but the models are: others"),
        (["--results", "{others}", "--out", "{others}"], "cannot be created"),
        (["--results", "{others}", "--iou", "0.01"], "must be from 0.1 to 1"),
        (["--results", "{others}", "--device", "nonsense"], "device “nonsense”"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_is_a_sentence(folder, others, capsys, options, message):
    assert evaluate(folder, *(option.format(others=others) for option in options)) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    "option", ["--fail-under AP=2", "--fail-under XX=0.1", "--threshold 2", "--threshold mine=x", "--map person", "--resamples -1"]
)
def test_options_that_make_no_sense(folder, capsys, option):
    with pytest.raises(SystemExit) as refused:
        evaluate(folder, *option.split())
    assert refused.value.code == 2
    assert option.split()[0] in capsys.readouterr().err


def test_an_interruption_says_how_to_continue(folder, tmp_path, capsys, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("detection_core.evaluation.run.to_coco_results", interrupted)
    assert evaluate(folder, "--models", COCO_MODEL, "--out", tmp_path / "out") == 130
    assert "Interrupted." in capsys.readouterr().err
