"""Tests that other programs can read exported results of videos."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO

from detection_core.formats import Provenance, from_json
from detection_core.formats.json_format import FORMAT
from detection_core.video import VIDEO_FILES, VIDEO_FORMATS, FrameResults, VideoOptions, export_video, track_objects
from detection_core.visualization import AnnotationStyle
from tests.video.scenes import MODEL, Finder, make_scene, records_of

OPTIONS = VideoOptions(0.5, every=2)
RUN = Provenance(MODEL, "some.pth", threshold=0.05, settings={"nms": 0.5})
NAMES = ["video_detections.json", "video_coco_dataset.json", "video_detections.csv", "video_mot.txt", "video_provenance.json"]


@pytest.fixture(scope="module")
def records(tmp_path_factory) -> FrameResults:
    path = make_scene(tmp_path_factory.mktemp("video") / "video.mp4", 20)
    return records_of(path, Finder(masks=True, keypoints=True), every=2)


@pytest.fixture(scope="module")
def exported(records, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    assert sorted(export_video(records, OPTIONS, list(VIDEO_FORMATS), folder, file_name="films/video.mp4", provenance=RUN)) == sorted(NAMES)
    assert sorted(path.name for path in folder.iterdir()) == sorted(NAMES) == sorted(f"video_{name}" for name in VIDEO_FILES)
    return folder


def test_json_is_exact(records, exported):
    data = json.loads((exported / "video_detections.json").read_text())
    assert data["format"] == "detection-explorer video 1"
    assert (data["file_name"], data["model"], data["width"], data["height"]) == ("films/video.mp4", MODEL, 96, 64)
    assert data["video"] == {"seconds": 2.0, "fps": 10.0}
    shown = list(track_objects(records, OPTIONS))
    assert [(frame["index"], frame["time_s"]) for frame in data["frames"]] == [(frame.index, frame.time_s) for frame in shown]
    for entry, frame in zip(data["frames"], shown, strict=True):
        assert [item["track_id"] for item in entry["objects"]] == frame.ids.tolist() == [1, 2]
        assert entry["summary"] == "1 red thing, 1 blue thing"
        read = from_json({**data, "format": FORMAT, "objects": entry["objects"]})
        for name in ("boxes", "labels", "scores", "masks", "keypoints", "keypoint_scores"):
            np.testing.assert_array_equal(getattr(read, name), getattr(frame.detections, name))


def test_provenance_is_that_of_the_options(exported):
    sources = [
        json.loads((exported / "video_detections.json").read_text())["provenance"],
        *json.loads((exported / "video_coco_dataset.json").read_text())["info"]["provenance"],
        *json.loads((exported / "video_provenance.json").read_text()),
    ]
    assert len(sources) == 3
    for source in sources:
        assert source["threshold"] == 0.5
        assert source["settings"] == {"nms": 0.5, "every": 2, "tracking": True, "keypoint_threshold": 2.0}


def test_coco_is_loaded_by_pycocotools(records, exported, capsys):
    coco = COCO(exported / "video_coco_dataset.json")
    video = {"id": 1, "name": "films/video.mp4", "file_name": "films/video.mp4", "width": 96, "height": 64, "seconds": 2.0, "fps": 10.0}
    assert coco.dataset["videos"] == [video]
    shown = list(track_objects(records, OPTIONS))
    assert [(image["id"], image["video_id"], image["frame_id"], image["time_s"]) for image in coco.loadImgs(coco.getImgIds())] == [
        (number, 1, frame.index, frame.time_s) for number, frame in enumerate(shown, 1)
    ]
    assert coco.loadImgs([2])[0]["file_name"] == "video/000002.jpg"
    for number, frame in enumerate(shown, 1):
        annotations = coco.loadAnns(coco.getAnnIds(imgIds=[number]))
        assert [annotation["track_id"] for annotation in annotations] == frame.ids.tolist()
        for index, annotation in enumerate(annotations):
            assert coco.loadCats(annotation["category_id"])[0]["name"] == frame.detections.names[index]
            crop, (x, y) = frame.detections.mask(index)
            full = np.zeros((64, 96), bool)
            full[y : y + crop.shape[0], x : x + crop.shape[1]] = crop
            np.testing.assert_array_equal(coco.annToMask(annotation), full)
            assert len(annotation["keypoints"]) == 51


def test_csv_has_a_row_for_each_object_of_each_frame(records, exported):
    with (exported / "video_detections.csv").open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[:6] == ["frame", "time_s", "track_id", "file_name", "width", "height"]
    expected = [
        (frame.index, frame.time_s, int(number), name)
        for frame in track_objects(records, OPTIONS)
        for number, name in zip(frame.ids, frame.detections.names, strict=True)
    ]
    assert [(int(row["frame"]), float(row["time_s"]), int(row["track_id"]), row["label"]) for row in rows] == expected
    assert {row["threshold"] for row in rows} == {"0.5"}


def test_mot_has_ten_numbers_a_line(records, exported):
    lines = np.loadtxt(exported / "video_mot.txt", delimiter=",")
    assert lines.shape == (20, 10)
    assert sorted(set(lines[:, 0])) == list(range(1, 20, 2))
    assert set(lines[:, 1]) == {1, 2}
    last = list(track_objects(records, OPTIONS))[-1].detections
    x0, y0, x1, y1 = last.boxes[0]
    np.testing.assert_allclose(lines[-2], [19, 1, x0, y0, x1 - x0, y1 - y0, last.scores[0], -1, -1, -1], atol=0.01)


def test_an_archive_holds_the_same_files(records, exported):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        names = export_video(records, OPTIONS, list(VIDEO_FORMATS), archive, file_name="films/video.mp4", provenance=RUN)
        assert archive.namelist() == names
        for name in NAMES:
            assert archive.read(name) == (exported / name).read_bytes()


def test_only_the_classes_shown_are_written(records, exported, tmp_path):
    options = VideoOptions(0.5, every=2, classes=frozenset({"blue thing"}))
    export_video(records, options, list(VIDEO_FORMATS), tmp_path, file_name="video.mp4", provenance=RUN)
    data = json.loads((tmp_path / "video_detections.json").read_text())
    assert {entry["label"] for frame in data["frames"] for entry in frame["objects"]} == {"blue thing"}
    assert data["provenance"]["settings"]["classes"] == ["blue thing"]
    coco = COCO(tmp_path / "video_coco_dataset.json")
    assert {coco.loadCats(entry["category_id"])[0]["name"] for entry in coco.dataset["annotations"]} == {"blue thing"}
    with (tmp_path / "video_detections.csv").open(newline="", encoding="utf-8-sig") as file:
        assert {(row["label"], row["track_id"]) for row in csv.DictReader(file)} == {("blue thing", "2")}
    of_all = (exported / "video_mot.txt").read_text().splitlines()
    assert (tmp_path / "video_mot.txt").read_text().splitlines() == [line for line in of_all if line.split(",")[1] == "2"]


def test_the_keypoint_threshold_says_which_keypoints_are_visible(records, tmp_path):
    options = VideoOptions(0.5, every=2, style=AnnotationStyle(keypoint_threshold=9))
    export_video(records, options, ["coco"], tmp_path, file_name="video.mp4")
    entries = json.loads((tmp_path / "video_coco_dataset.json").read_text())["annotations"]
    assert {flag for entry in entries for flag in entry["keypoints"][2::3]}.isdisjoint({2})


def test_without_tracking_there_are_no_identities(records, tmp_path):
    options = VideoOptions(0.5, every=2, track=False)
    export_video(records, options, ["json", "coco", "csv"], tmp_path, file_name="video.mp4")
    data = json.loads((tmp_path / "video_detections.json").read_text())
    assert all("track_id" not in entry for frame in data["frames"] for entry in frame["objects"])
    assert "track_id" not in json.loads((tmp_path / "video_coco_dataset.json").read_text())["annotations"][0]
    with (tmp_path / "video_detections.csv").open(newline="", encoding="utf-8-sig") as file:
        assert {row["track_id"] for row in csv.DictReader(file)} == {""}
    with pytest.raises(ValueError, match="contain tracks"):
        export_video(records, options, ["mot"], tmp_path, file_name="video.mp4")
    assert not (tmp_path / "video_mot.txt").exists()


def test_nothing_found_is_written_too(records, tmp_path):
    export_video(records, VideoOptions(0.99, every=2), list(VIDEO_FORMATS), tmp_path, file_name="video.mp4", stem="other")
    assert [frame["objects"] for frame in json.loads((tmp_path / "other_detections.json").read_text())["frames"]] == [[]] * 10
    assert len(COCO(tmp_path / "other_coco_dataset.json").getImgIds()) == 10
    assert (tmp_path / "other_mot.txt").read_text() == ""


def test_no_frame_at_all_is_still_valid(records, tmp_path):
    export_video(FrameResults(records.video), OPTIONS, list(VIDEO_FORMATS), tmp_path, file_name="video.mp4")
    assert json.loads((tmp_path / "video_detections.json").read_text())["frames"] == []


@pytest.mark.parametrize("track", [True, False], ids=["tracked", "not tracked"])
def test_of_two_classes_one_has_keypoints(tmp_path, track):
    """The blue thing, which has none, is without them everywhere."""
    path = make_scene(tmp_path / "video.mp4", 12)
    formats = [name for name in VIDEO_FORMATS if track or name != "mot"]
    with records_of(path, Finder(masks=True, keypoints=[1])) as records:
        options = VideoOptions(0.5, track=track)
        shown = list(track_objects(records, options))
        export_video(records, options, formats, tmp_path / "out", file_name="video.mp4")
    assert [frame.detections.has_keypoints.tolist() for frame in shown] == [[True, False]] * 12

    def refuse(constant):
        pytest.fail(f"{constant} is not JSON")

    data = json.loads((tmp_path / "out" / "video_detections.json").read_text(), parse_constant=refuse)
    for entry, frame in zip(data["frames"], shown, strict=True):
        read = from_json({**data, "format": FORMAT, "objects": entry["objects"]})
        assert read.keypoints.tobytes() == frame.detections.keypoints.tobytes()
    coco = json.loads((tmp_path / "out" / "video_coco_dataset.json").read_text(), parse_constant=refuse)
    assert {(entry["category_id"], "keypoints" in entry) for entry in coco["annotations"]} == {(1, True), (2, False)}
    with (tmp_path / "out" / "video_detections.csv").open(newline="", encoding="utf-8-sig") as file:
        assert {(row["label"], row["nose_x"]) for row in csv.DictReader(file)} == {("red thing", "7.25"), ("blue thing", "")}
    if track:
        assert np.isfinite(np.loadtxt(tmp_path / "out" / "video_mot.txt", delimiter=",")).all()


def test_an_unknown_format_is_refused(records, tmp_path):
    with pytest.raises(ValueError, match=r"no format “yolo”.*json, coco, csv, mot"):
        export_video(records, OPTIONS, ["yolo"], tmp_path, file_name="video.mp4")
    assert list(tmp_path.iterdir()) == []
