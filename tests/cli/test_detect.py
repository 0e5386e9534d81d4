from __future__ import annotations

import csv
import hashlib
import io
import itertools
import json
import re
import shutil
from pathlib import Path

import pytest
from PIL import Image

from detection_core.batch import BatchRun
from detection_core.cli.main import main
from detection_core.detections.coco_names import COCO_CLASSES
from detection_core.formats import FORMATS
from detection_core.inputs import natural
from detection_core.models.catalog import ASSETS, PERSON_MODEL, get_model_spec, list_models
from detection_core.models.detector import Detector
from detection_core.models.loader import ModelLoader
from tests.factories import make_detections

IMAGE = ASSETS / "examples" / "grace_hopper.jpg"


def detect(*args: object) -> int:
    return main(["detect", *map(str, args), "--model", PERSON_MODEL])


def test_models_as_table(capsys):
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["MODEL", *list_models()]
    (row,) = (re.split(" {2,}", line) for line in lines if line.startswith("maskrcnn_resnet50_fpn_v2"))
    assert row == ["maskrcnn_resnet50_fpn_v2", "boxes, masks", "47.4", "41.8", "-", "333.577", "46359409", "177.219", row[-2], "0.5"]
    assert row[-2] in ("yes", "no")


def test_models_as_json(capsys):
    assert main(["models", "--format", "json"]) == 0
    rows = {row["key"]: row for row in json.loads(capsys.readouterr().out)}
    assert list(rows) == list_models()
    assert rows[PERSON_MODEL]["on_disk"] is True
    assert rows["maskrcnn_resnet50_fpn"]["metrics"]["mask_map"] == 34.6
    assert len(rows["fcos_resnet50_fpn"]["categories"]) == 80


def test_detect_prints_json(capsys):
    assert detect(IMAGE) == 0
    captured = capsys.readouterr()
    (entry,) = json.loads(captured.out)
    assert entry["file_name"] == str(IMAGE)
    assert entry["provenance"]["threshold"] == get_model_spec(PERSON_MODEL).default_threshold
    assert entry["provenance"]["revision"] == hashlib.sha256((ASSETS / "person_mobilenet_v2_fpn.pth").read_bytes()).hexdigest()
    assert entry["objects"][0]["label"] == "person"
    assert "person" in captured.err


@pytest.mark.parametrize(
    ("chosen", "threshold", "objects"), [(0.3, 0.3, 3), ({"all": 0.3, "classes": {"person": 1}}, 0.3, 0), ({"all": 1}, 1, 0)]
)
def test_detect_takes_the_thresholds_of_a_file(tmp_path, capsys, chosen, threshold, objects):
    file = tmp_path / "thresholds.json"
    file.write_text(json.dumps({"thresholds": {"other": 0.1, PERSON_MODEL: chosen}}))
    # They mean the same in each precision.
    assert main(["detect", str(IMAGE), "--model", f"{PERSON_MODEL}@stock", "--thresholds", str(file)]) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert (entry["provenance"]["threshold"], len(entry["objects"])) == (threshold, objects)
    settings = entry["provenance"]["settings"]
    assert settings == ({"class_thresholds": chosen["classes"]} if isinstance(chosen, dict) and "classes" in chosen else {})


@pytest.mark.parametrize(
    ("thresholds", "words"),
    [
        ({"other": 0.1}, f"no threshold of {PERSON_MODEL}, but of other"),
        ({PERSON_MODEL: {"all": 0.5, "classes": {"cat": 0.5}}}, "the class “cat”, which"),
    ],
)
def test_thresholds_that_do_not_fit_the_model_are_refused(tmp_path, capsys, thresholds, words):
    file = tmp_path / "thresholds.json"
    file.write_text(json.dumps({"thresholds": thresholds}))
    assert detect(IMAGE, "--thresholds", file) == 2
    assert words in capsys.readouterr().err


def test_detect_writes_images_and_results(tmp_path, capsys):
    twin = tmp_path / "in" / IMAGE.name
    twin.parent.mkdir()
    shutil.copy(IMAGE, twin)
    out = tmp_path / "out"
    assert detect(IMAGE, twin, "--out", out) == 0
    written = [f"grace_hopper{number}_detections.{ending}" for number in ("-2", "") for ending in ("json", "png")]
    assert sorted(path.name for path in out.iterdir()) == written
    with Image.open(IMAGE) as original, Image.open(out / "grace_hopper_detections.png") as annotated:
        assert annotated.size == original.size
        assert annotated.tobytes() != original.tobytes()
    assert json.loads((out / "grace_hopper_detections.json").read_text())["objects"]
    assert capsys.readouterr().out == ""


def test_results_of_an_earlier_run_are_written_over_unless_they_are_inputs(tmp_path):
    results = tmp_path / "coco_results.json"
    results.write_text("old")
    assert detect(IMAGE, "--out", tmp_path, "--format", "coco") == 0
    assert json.loads(results.read_text())
    content = results.read_bytes()
    assert detect(IMAGE, results, "--out", tmp_path, "--format", "coco") == 1
    assert results.read_bytes() == content
    assert (tmp_path / "coco_results-2.json").read_bytes() == content


@pytest.mark.parametrize("to_folder", [False, True], ids=["stdout", "folder"])
def test_detect_as_coco(tmp_path, capsys, to_folder):
    assert detect(IMAGE, "--format", "coco", *(["--out", tmp_path] if to_folder else [])) == 0
    text = (tmp_path / "coco_results.json").read_text() if to_folder else capsys.readouterr().out
    entry = json.loads(text)[0]
    assert entry["image_id"] == 1
    assert entry["category_id"] == 1
    assert set(entry) == {"file_name", "image_id", "category_id", "score", "bbox", "segmentation", "keypoints", "keypoint_scores"}


def test_detect_writes_all_formats_where_only_persons_have_keypoints(tmp_path, monkeypatch):
    def both(self, image):
        size = (image.height, image.width)
        return make_detections(4, image_size=size, masks=True, keypoints=[1], categories=COCO_CLASSES, labels=[17, 1, 17, 1])

    monkeypatch.setattr(Detector, "detect", both)
    assert detect(IMAGE, "--out", tmp_path, "--threshold", "0", *itertools.chain(*(("--format", name) for name in FORMATS))) == 0
    texts = [file for file in tmp_path.rglob("*") if file.is_file() and file.suffix != ".png"]
    files = {file.relative_to(tmp_path).as_posix(): file.read_text("utf-8-sig") for file in texts}
    assert [name for name, text in files.items() if re.search(r"\bnan\b", text, re.IGNORECASE)] == []
    have = {
        "json": [thing["keypoints"] is not None for thing in json.loads(files["grace_hopper_detections.json"])["objects"]],
        "coco": ["keypoints" in thing for thing in json.loads(files["coco_results.json"])],
        "coco-dataset": ["keypoints" in thing for thing in json.loads(files["coco_dataset.json"])["annotations"]],
        "csv": [row["nose_x"] != "" for row in csv.DictReader(io.StringIO(files["detections.csv"]))],
    }
    assert have == dict.fromkeys(have, [False, True] * 2)
    rows = {task: files[f"yolo_{task}/labels/grace_hopper.txt"].count("\n") for task in ("detect", "segment", "pose")}
    assert rows == {"detect": 4, "segment": 4, "pose": 2}


def test_a_threshold_of_one_leaves_nothing(capsys):
    assert detect(IMAGE, "--threshold", "1") == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)[0]["objects"] == []
    assert "nothing" in captured.err


def test_a_bad_file_is_reported_and_the_rest_is_done(tmp_path, capsys):
    bad = tmp_path / "bad.jpg"
    bad.write_text("this is text")
    assert detect(bad, tmp_path / "missing.jpg", IMAGE) == 1
    captured = capsys.readouterr()
    assert [entry["file_name"] for entry in json.loads(captured.out)] == [str(IMAGE)]
    lines = captured.err.splitlines()
    assert [line.split("]")[0] for line in lines if line.startswith("[")] == ["[1/3", "[2/3", "[3/3"]
    assert "Traceback" not in captured.err


def cut_off(path: Path) -> Path:
    """A JPEG whose lower half is missing."""
    whole = IMAGE.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    return path


@pytest.mark.parametrize("to_folder", [pytest.param(False, marks=pytest.mark.slow), True], ids=["stdout", "folder"])
def test_that_an_image_is_cut_off_is_reported_and_written(tmp_path, capsys, to_folder):
    image = cut_off(tmp_path / "cut.jpg")
    assert detect(image, *(["--out", tmp_path] if to_folder else [])) == 0
    captured = capsys.readouterr()
    text = (tmp_path / "cut_detections.json").read_text() if to_folder else captured.out
    (note,) = (json.loads(text) if to_folder else json.loads(text)[0])["notes"]
    assert note.startswith("The file is cut off")
    assert f"{image}: {note}\n" in captured.err
    assert detect(image, "--out", tmp_path) == 0


@pytest.fixture
def three_images(tmp_path) -> Path:
    """A folder of three small images."""
    folder = tmp_path / "images"
    folder.mkdir()
    with Image.open(IMAGE) as image:
        for number in (1, 2, 10):
            image.resize((120 + number, 160)).save(folder / f"{number}.jpg")
    return folder


@pytest.fixture
def second_detection_raises(monkeypatch):
    """Makes the second of several detections fail in a way of its own; the others are made up, quickly."""

    def arm(error: BaseException) -> None:
        calls = itertools.count(1)

        def flaky(self, image):
            if next(calls) == 2:
                raise error
            return make_detections(2, image_size=(image.height, image.width), model=self.spec.key)

        monkeypatch.setattr(Detector, "detect", flaky)

    return arm


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB.\nCompile with ..."), "too little memory"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), "too little memory"),
        (MemoryError(), "too little memory"),
        (RuntimeError("the kernel is sick\nand here is why"), "the kernel is sick"),
        (RuntimeError(), "RuntimeError"),
    ],
    ids=["GPU memory", "CPU memory", "Python's memory", "other", "wordless"],
)
def test_an_image_that_breaks_the_model_is_reported_and_the_rest_is_done(capsys, three_images, second_detection_raises, error, message):
    second_detection_raises(error)
    assert detect(three_images) == 1
    captured = capsys.readouterr()
    assert [entry["file_name"] for entry in json.loads(captured.out)] == ["1.jpg", "10.jpg"]
    *lines, last = captured.err.splitlines()[-4:]
    assert [line.split("]")[0] for line in lines] == ["[1/3", "[2/3", "[3/3"]
    assert message in lines[1]
    assert last == "3 images: 2 detected, 1 failed."
    assert "device" not in captured.err


@pytest.mark.parametrize("to_folder", [False, True], ids=["stdout", "folder"])
def test_what_was_found_before_an_interruption_is_written(tmp_path, capsys, three_images, second_detection_raises, to_folder):
    second_detection_raises(KeyboardInterrupt())
    assert detect(three_images, "--format", "coco", *(["--out", tmp_path] if to_folder else [])) == 130
    captured = capsys.readouterr()
    text = (tmp_path / "coco_results.json").read_text() if to_folder else captured.out
    assert {entry["file_name"] for entry in json.loads(text)} == {"1.jpg"}
    assert captured.err.endswith("Interrupted.\n")
    assert ("2 left: run the same command again to continue." in captured.err) is to_folder


def test_the_same_command_goes_on_and_says_so(tmp_path, capsys, three_images, second_detection_raises):
    command = [three_images, "--out", tmp_path / "out", "--format", "json,csv", "--format", "coco"]
    second_detection_raises(KeyboardInterrupt())
    assert detect(*command) == 130
    capsys.readouterr()
    assert detect(*command) == 0
    first, *lines = [line for line in capsys.readouterr().err.splitlines() if line != "Loading"]
    assert first == "Image ids are the numbers in the file names; category ids are COCO's."
    assert [line.split(":")[0] for line in lines] == ["[2/3] 2.jpg", "[3/3] 10.jpg", "3 images"]
    assert "1 done before" in lines[-1]
    assert re.search(r"\d images/s, \d+ s left\)$", lines[0])
    entries = json.loads((tmp_path / "out" / "coco_results.json").read_text())
    assert [entry["file_name"] for entry in entries] == sorted((entry["file_name"] for entry in entries), key=natural)
    assert {entry["file_name"] for entry in entries} == {"1.jpg", "2.jpg", "10.jpg"}
    assert not list((tmp_path / "out").glob("*.png"))
    assert detect(*command, "--overwrite") == 0
    assert "3 detected" in capsys.readouterr().err


def test_a_table_on_stdout(capsys, three_images):
    assert detect(f"{three_images}/1*.jpg", "--format", "csv", "--threshold", "0.1") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out.removeprefix("\ufeff"), newline="")))
    assert {row["file_name"] for row in rows} == {"1.jpg", "10.jpg"}
    assert {row["threshold"] for row in rows} == {"0.1"}


LONG = ["a" * 251 + ".jpg", "b" * 255, "中" * 83 + ".jpg", "😀" * 62 + "1.jpg", "two\nlines.jpg", "=1+1.jpg"]


@pytest.mark.parametrize("form", [None, *(pytest.param(form, marks=pytest.mark.slow) for form in ("json", "coco", "csv"))])
def test_every_name_of_a_file_is_detected_in(tmp_path, capsys, second_detection_raises, form):
    second_detection_raises(RuntimeError("one fails"))
    images = [tmp_path / name for name in LONG]
    for image in images:
        shutil.copy(IMAGE, image)
    out = ["--out", tmp_path / "out"] if form is None else ["--format", form]
    assert detect(*images, *out) == 1
    captured = capsys.readouterr()
    assert captured.err.splitlines()[-1] == f"{len(LONG)} images: {len(LONG) - 1} detected, 1 failed."
    assert len([line for line in captured.err.splitlines() if line.startswith("[")]) == len(LONG)
    assert r"two\nlines.jpg: " in captured.err
    assert "Errno" not in captured.err
    if form is None:
        files = list((tmp_path / "out").iterdir())
        assert len(files) == 2 * (len(LONG) - 1)
        assert max(len(file.name.encode()) for file in files) <= 255
    else:
        assert captured.out


@pytest.mark.parametrize(("options", "name"), [([], "'=1+1.jpg"), (["--raw-csv"], "=1+1.jpg")], ids=["for spreadsheets", "raw"])
@pytest.mark.parametrize("to_folder", [pytest.param(False, marks=pytest.mark.slow), True], ids=["stdout", "folder"])
def test_a_table_runs_nothing_in_a_spreadsheet(tmp_path, capsys, monkeypatch, second_detection_raises, options, name, to_folder):
    second_detection_raises(AssertionError())
    monkeypatch.chdir(tmp_path)
    shutil.copy(IMAGE, "=1+1.jpg")
    assert detect("=1+1.jpg", "--threshold", "0", "--format", "csv", *options, *(["--out", "out"] if to_folder else [])) == 0
    text = Path("out/detections.csv").read_text("utf-8") if to_folder else capsys.readouterr().out
    assert text.startswith("\ufeff") == (options == [])
    assert {row["file_name"] for row in csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))} == {name}


def test_a_full_disk_is_reported_without_the_name_of_a_temporary_file(tmp_path, capsys, monkeypatch, second_detection_raises):
    second_detection_raises(AssertionError())

    def full(file, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("detection_core.formats.target._fill", full)
    assert detect(IMAGE, "--out", tmp_path) == 1
    assert capsys.readouterr().err.splitlines()[-1] == f"{IMAGE}: The system says: No space left on device."


def test_results_that_cannot_be_written_are_reported(capsys, monkeypatch, tmp_path):
    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(BatchRun, "export", fail)
    assert detect(IMAGE, "--out", tmp_path, "--format", "coco") == 1
    assert "cannot be written: No space left on device" in capsys.readouterr().err


def test_help_names_all_formats(capsys, monkeypatch):
    # Narrow terminals break names at their hyphens.
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit):
        main(["detect", "--help"])
    output = capsys.readouterr().out
    assert all(re.search(rf"\b{name}\b", output) for name in FORMATS)


def test_a_model_that_cannot_be_loaded_is_not_blamed_on_the_device(capsys, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr(ModelLoader, "load", fail)
    assert detect(IMAGE) == 1
    captured = capsys.readouterr()
    assert "cannot be loaded: There is too little memory" in captured.err
    assert "device" not in captured.err
    assert captured.out == ""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DETECTION_EXPLORER_MEMORY_BUDGET", "plenty"),
        ("DETECTION_EXPLORER_MAX_MEGAPIXELS", "many"),
        ("DETECTION_EXPLORER_MAX_MEGAPIXELS", "-1"),
    ],
)
def test_a_bad_setting_is_status_2_before_any_work(tmp_path, capsys, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    assert detect(IMAGE, "--out", tmp_path / "out") == 2
    (message,) = capsys.readouterr().err.splitlines()
    assert name in message
    assert value in message
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_made_is_status_2(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert detect(IMAGE, "--out", tmp_path / "file") == 2
    assert "file” cannot be created" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["detect", str(IMAGE), "--model", "yolo"], "no model “yolo”"),
        (["detect", str(IMAGE.parent / "*.tiff"), "--model", PERSON_MODEL], "matches “"),
        (["detect", str(IMAGE), "--model", PERSON_MODEL, "--format", "png"], "Add --out DIR for png"),
        (["detect", str(IMAGE), "--model", PERSON_MODEL, "--format", "json,coco"], "Add --out DIR for json,coco"),
        (["detect", str(IMAGE), "--model", PERSON_MODEL, "--format", "voc"], "no format “voc”"),
        (["detect", str(IMAGE), "--model", "ssd300_vgg16", "--format", "yolo-pose", "--out", "."], "predicts boxes only"),
        (["detect", str(IMAGE), "--model", PERSON_MODEL, "--device", "abacus"], "device “abacus”"),
        (["detect", str(IMAGE), "--model", PERSON_MODEL, "--device", "cuda:77"], "device “cuda:77”"),
        (["detect", str(IMAGE), "--model", PERSON_MODEL, "--device", "meta"], "device “meta”"),
        (["detect", str(IMAGE), "--model", PERSON_MODEL, "--device", "hpu"], "device “hpu”"),
    ],
    ids=[
        "model",
        "pattern",
        "drawing on stdout",
        "two on stdout",
        "format",
        "format beyond the model",
        "unknown device",
        "absent device",
        "device that computes nothing",
        "device without its module",
    ],
)
def test_bad_usage_is_status_2(capsys, args, message):
    assert main(args) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "args",
    [[], ["fly"], ["detect"], ["detect", "x.jpg", "--model", "m", "--threshold", "7"]],
    ids=["none", "unknown", "no image", "threshold"],
)
def test_the_parser_refuses_with_status_2(args):
    with pytest.raises(SystemExit) as caught:
        main(args)
    assert caught.value.code == 2


def test_missing_weights_are_status_1(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("DETECTION_EXPLORER_WEIGHTS_MIRROR", "http://127.0.0.1:9/nowhere")
    assert main(["detect", str(IMAGE), "--model", "ssdlite320_mobilenet_v3_large"]) == 1
    message = capsys.readouterr().err
    assert "ssdlite320_mobilenet_v3_large_coco-a79551df.pth" in message
    assert PERSON_MODEL in message
