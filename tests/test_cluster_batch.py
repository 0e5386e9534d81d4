"""Folders on a real cluster: files as without one, also when a node dies meanwhile, and no image twice."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from detection_core.cli.main import main
from detection_core.formats.registry import PROVENANCE_FILE
from detection_core.models.catalog import ASSETS, COCO_MODEL

IMAGES = 12
# File, size, class, score, box and mask area.
_CSV_COLUMNS = 11


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Images that differ, in a subfolder too, and a file that is none."""
    folder = tmp_path / "images"
    (folder / "sub").mkdir(parents=True)
    with Image.open(ASSETS / "examples" / "astronaut.jpg") as image:
        pixels = np.array(image.convert("RGB").resize((120, 120)))
    for number in range(IMAGES):
        pixels[0, 0] = number
        Image.fromarray(pixels).save(folder / ("sub" if number % 3 == 0 else "") / f"{number}.png")
    (folder / "broken.jpg").write_bytes(b"no image")
    return folder


def contents(folder: Path) -> dict[str, Any]:
    """All files of results, without their provenance, in which times differ."""
    found: dict[str, Any] = {}
    for path in sorted(file for file in folder.rglob("*.*") if file.is_file() and file.name != PROVENANCE_FILE):
        name = str(path.relative_to(folder))
        if path.suffix == ".json":
            data = json.loads(path.read_text("utf-8"))
            for part in (data, data.get("info", {})) if isinstance(data, dict) else ():
                part.pop("provenance", None)
                part.pop("date_created", None)
            found[name] = data
        elif path.suffix == ".csv":
            rows = csv.reader(io.StringIO(path.read_text("utf-8-sig")))
            # Without the provenance, which comes last.
            found[name] = [row[:_CSV_COLUMNS] for row in rows]
        else:
            found[name] = path.stat().st_size > 0
    return found


@pytest.mark.ray
@pytest.mark.usefixtures("one_thread")
def test_files_are_those_of_the_local_engine(folder: Path, tmp_path: Path, capsys, shared_cluster):
    command = ["detect", str(folder), "--model", COCO_MODEL, "--format", "json,png,coco,csv"]
    assert main([*command, "--out", str(tmp_path / "local")]) == 1
    said = capsys.readouterr().err
    on_cluster = [*command, "--out", str(tmp_path / "out"), "--engine", "ray", "--ray-address", shared_cluster.address, "--workers", "2"]
    assert main(on_cluster) == 1, "one image is broken"
    said_on_cluster = capsys.readouterr().err
    ours, theirs = contents(tmp_path / "out"), contents(tmp_path / "local")
    assert ours == theirs
    (reason,) = {line.partition("broken.jpg: ")[2] for line in said.splitlines() if "broken.jpg: " in line}
    assert f"broken.jpg: {reason}" in said_on_cluster
    # Again: nothing is done twice.
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*_detections.json")}
    assert main(on_cluster) == 1
    assert f"{IMAGES} done before" in capsys.readouterr().err
    assert before == {path: path.stat().st_mtime_ns for path in before}


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("options", [["--slices", "128"], ["--thresholds", "thresholds.json"]], ids=["slices", "thresholds of classes"])
def test_options_do_on_the_cluster_what_they_do_locally(folder: Path, tmp_path: Path, monkeypatch, shared_cluster, options: list[str]):
    monkeypatch.chdir(tmp_path)
    (folder / "broken.jpg").unlink()
    for path in folder.rglob("*.png"):
        # Larger than a slice.
        with Image.open(path) as image:
            image.resize((160, 160)).save(path)
    Path("thresholds.json").write_text(json.dumps({"thresholds": {COCO_MODEL: {"all": 0.9, "classes": {"person": 0.05}}}}))
    command = ["detect", str(folder), "--model", COCO_MODEL, *options, "--format", "json,coco,csv"]
    assert main([*command, "--out", "local"]) == 0
    assert main([*command, "--out", "out", "--engine", "ray", "--ray-address", shared_cluster.address, "--workers", "2"]) == 0
    assert contents(Path("out")) == contents(Path("local"))
    ours, theirs = (json.loads(next(Path(name).rglob("1_detections.json")).read_text()) for name in ("out", "local"))
    for part in ("model", "threshold", "settings", "revision"):
        assert ours["provenance"][part] == theirs["provenance"][part]
    if "--slices" in options:
        assert all("whole_score" in each for each in ours["objects"])
    else:
        assert {each["label"] for each in ours["objects"] if each["score"] < 0.9} == {"person"}


@pytest.mark.ray
@pytest.mark.slow
def test_a_killed_worker_loses_nothing(folder: Path, tmp_path: Path, shared_cluster, capsys):
    (folder / "broken.jpg").unlink()
    killed = []

    def kill() -> None:
        while not list((tmp_path / "out").rglob("*_detections.json")):
            time.sleep(0.02)
        listed = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
        for line in listed.splitlines():
            if "ray::MapBatches(_Worker)" in line or "ray::MapWorker(MapBatches(_Worker))" in line:
                os.kill(int(line.split()[0]), signal.SIGKILL)
                killed.append(line)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    assert (
        main(
            [
                "detect",
                str(folder),
                "--model",
                COCO_MODEL,
                "--out",
                str(tmp_path / "out"),
                "--engine",
                "ray",
                "--ray-address",
                shared_cluster.address,
            ]
        )
        == 0
    )
    thread.join(10)
    assert killed
    assert len(list((tmp_path / "out").rglob("*_detections.json"))) == IMAGES
    assert f"{IMAGES} images: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "Add --out DIR"),
        (["--out", "out", "--device", "mps"], "run on cpu or cuda"),
        (["--ray-address", "ray://a:1"], "auto, or HOST:PORT"),
    ],
)
def test_what_a_cluster_cannot_do_is_reported_first(folder: Path, options: list[str], message: str, capsys, monkeypatch):
    monkeypatch.setattr("detection_core.engine.ray.require_ray", lambda: None)
    assert main(["detect", str(folder), "--model", COCO_MODEL, "--engine", "ray", *options]) == 2
    assert message in capsys.readouterr().err


def test_without_ray_one_sentence_says_how_to_install_it(folder: Path, tmp_path: Path, monkeypatch, capsys):
    monkeypatch.setattr("detection_core.engine.ray.installed.find_spec", lambda name: None)
    assert main(["detect", str(folder), "--model", COCO_MODEL, "--engine", "ray", "--out", str(tmp_path / "out")]) != 0
    assert "pip install -r requirements-scale.txt" in capsys.readouterr().err
