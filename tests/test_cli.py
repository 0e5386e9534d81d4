from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest
from PIL import Image

from detection_core.catalog import ASSETS, EMBEDDED_MODEL, list_models
from detection_core.cli import main

PHOTO = ASSETS / "examples" / "grace_hopper.jpg"


def detect(*args: object) -> int:
    return main(["detect", *map(str, args), "--model", EMBEDDED_MODEL])


def test_models_as_table(capsys):
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["MODEL", *list_models()]


def test_models_as_json(capsys):
    assert main(["models", "--format", "json"]) == 0
    rows = {row["key"]: row for row in json.loads(capsys.readouterr().out)}
    assert list(rows) == list_models()
    assert rows[EMBEDDED_MODEL]["on_disk"] is True
    assert rows["maskrcnn_resnet50_fpn"]["mask_map"] == 34.6
    assert len(rows["fcos_resnet50_fpn"]["classes"]) == 80


def test_detect_prints_json(capsys):
    assert detect(PHOTO) == 0
    captured = capsys.readouterr()
    (entry,) = json.loads(captured.out)
    assert entry["file_name"] == str(PHOTO)
    assert entry["objects"][0]["label"] == "person"
    assert "person" in captured.err


def test_detect_writes_pictures_and_results(tmp_path, capsys):
    twin = tmp_path / "in" / PHOTO.name
    twin.parent.mkdir()
    shutil.copy(PHOTO, twin)
    out = tmp_path / "out"
    assert detect(PHOTO, twin, "--out", out) == 0
    assert sorted(path.name for path in out.iterdir()) == [f"grace_hopper{end}" for end in ("-2.json", "-2.png", ".json", ".png")]
    with Image.open(PHOTO) as original, Image.open(out / "grace_hopper.png") as annotated:
        assert annotated.size == original.size
        assert annotated.tobytes() != original.tobytes()
    assert json.loads((out / "grace_hopper.json").read_text())["objects"]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("to_folder", [False, True], ids=["stdout", "folder"])
def test_detect_as_coco(tmp_path, capsys, to_folder):
    assert detect(PHOTO, "--format", "coco", *(["--out", tmp_path] if to_folder else [])) == 0
    text = (tmp_path / "coco_results.json").read_text() if to_folder else capsys.readouterr().out
    entry = json.loads(text)[0]
    assert entry["image_id"] == 1
    assert entry["category_id"] == 1
    assert set(entry) == {"file_name", "image_id", "category_id", "score", "bbox", "segmentation", "keypoints"}


def test_a_threshold_of_one_leaves_nothing(capsys):
    assert detect(PHOTO, "--threshold", "1") == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)[0]["objects"] == []
    assert "nothing" in captured.err


def test_a_bad_file_is_told_and_the_rest_is_done(tmp_path, capsys):
    bad = tmp_path / "bad.jpg"
    bad.write_text("this is text")
    assert detect(bad, tmp_path / "missing.jpg", PHOTO) == 1
    captured = capsys.readouterr()
    assert [entry["file_name"] for entry in json.loads(captured.out)] == [str(PHOTO)]
    lines = captured.err.splitlines()
    assert [line.split("]")[0] for line in lines if line.startswith("[")] == ["[1/3", "[2/3", "[3/3"]
    assert "Traceback" not in captured.err


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["detect", str(PHOTO), "--model", "yolo"], "no model “yolo”"),
        (["detect", str(PHOTO), "--model", EMBEDDED_MODEL, "--device", "abacus"], "device “abacus”"),
        (["detect", str(PHOTO), "--model", EMBEDDED_MODEL, "--device", "cuda:77"], "device “cuda:77”"),
    ],
    ids=["model", "unknown device", "absent device"],
)
def test_bad_usage_is_status_2(capsys, args, message):
    assert main(args) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "args",
    [[], ["fly"], ["detect"], ["detect", "x.jpg", "--model", "m", "--threshold", "7"]],
    ids=["none", "unknown", "no picture", "threshold"],
)
def test_the_parser_refuses_with_status_2(args):
    with pytest.raises(SystemExit) as caught:
        main(args)
    assert caught.value.code == 2


def test_missing_weights_are_status_1(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("DETECTION_EXPLORER_WEIGHTS_MIRROR", "http://127.0.0.1:9/nowhere")
    assert main(["detect", str(PHOTO), "--model", "ssdlite320_mobilenet_v3_large"]) == 1
    message = capsys.readouterr().err
    assert "ssdlite320_mobilenet_v3_large_coco-a79551df.pth" in message
    assert EMBEDDED_MODEL in message


def test_runs_as_a_module_and_help_needs_no_torch():
    code = """
import runpy, sys
sys.argv = ["d", "--help"]
try:
    runpy.run_module("detection_core", run_name="__main__")
except SystemExit:
    print("torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("False\n")
    assert "COMMAND" in done.stdout
