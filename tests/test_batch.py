from __future__ import annotations

import json
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detection_core import batch as batch_module
from detection_core.batch import BatchRun, BatchStep, Outcome
from detection_core.detections import Detections
from detection_core.formats import Numbering, Provenance, from_json, number_images
from detection_core.formats.numbering import Category
from detection_core.images.limits import DEFAULT_LIMITS
from detection_core.inputs import InputFile, find_images
from tests.factories import make_detections

RUN = Provenance("some_model", "some.pth", "abc123", threshold=0.5, time="2025-01-01T00:00:00+00:00", versions={"torch": "2"})


@pytest.fixture
def images(tmp_path) -> Path:
    """Three small images, two of the same name."""
    for number, name in enumerate(("a.png", "b.png", "more/a.jpg")):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (64, 48), (90 * number, 0, 0)).save(path)
    return tmp_path / "images"


class Fake:
    """Finds three things in every image, and counts."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, image: Image.Image) -> Detections:
        self.calls += 1
        return make_detections(3, image_size=(image.height, image.width), masks=True, keypoints=True, model=RUN.model)


def run(
    images: Path, out: Path, *, provenance: Provenance = RUN, detect: Callable[..., Detections] | None = None, annotate=False, **options
):
    """One run over the folder, and how often the model ran."""
    fake = Fake()
    batch = BatchRun(find_images([str(images)]), out, provenance, annotate=annotate, **options)
    return list(batch.run(detect or fake)), fake.calls, batch


def files_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_each_image_has_its_record_and_drawing(images, tmp_path):
    outcomes, calls, _ = run(images, tmp_path / "out", annotate=True)
    assert calls == 3
    assert [(outcome.image.name, outcome.reused, outcome.error) for outcome in outcomes] == [
        (name, False, None) for name in ("a.png", "b.png", "more/a.jpg")
    ]
    stems = ("a", "b", "more/a")
    assert files_in(tmp_path / "out") == sorted(f"{stem}_detections.{ending}" for stem in stems for ending in ("json", "png"))
    with Image.open(tmp_path / "out" / "b_detections.png") as drawn, Image.open(images / "b.png") as image:
        assert drawn.size == image.size
        assert drawn.tobytes() != image.tobytes()


def test_an_image_need_not_be_a_file(images, tmp_path):
    fake, content = Fake(), (images / "a.png").read_bytes()
    step = BatchStep(tmp_path, RUN, overwrite=False, annotate=True, limits=DEFAULT_LIMITS)
    image = InputFile("s3://bucket/a.png", "a.png", "a.png")
    for expected in (False, True):
        assert step.process(image, "a", fake, lambda: content).reused is expected
    assert not step.process(image, "a", fake, (images / "b.png").read_bytes).reused
    assert fake.calls == 2

    def gone() -> bytes:
        raise OSError("it is gone")

    assert str(step.process(image, "a", fake, gone).error) == "it is gone"


def test_a_record_says_what_was_found_where_and_with_what(images, tmp_path):
    run(images, tmp_path)
    record = json.loads((tmp_path / "more" / "a_detections.json").read_text())
    expected = Fake()(Image.open(images / "more" / "a.jpg"))
    expected = expected[expected.scores >= 0.5]
    assert len(expected) == 2
    read = from_json(record)
    np.testing.assert_array_equal(read.boxes, expected.boxes)
    np.testing.assert_array_equal(read.masks, expected.masks)
    assert record["file_name"] == "more/a.jpg"
    assert record["provenance"] == RUN.to_json()
    assert len(record["image_sha256"]) == 64


def test_a_second_run_does_nothing_again(images, tmp_path):
    run(images, tmp_path / "out", annotate=True)
    before = {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in files_in(tmp_path / "out")}
    later = replace(RUN, time="2025-02-02T00:00:00+00:00", versions={"torch": "3"})
    outcomes, calls, batch = run(images, tmp_path / "out", provenance=later, annotate=True)
    assert calls == 0
    assert all(outcome.reused for outcome in outcomes)
    assert {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in files_in(tmp_path / "out")} == before
    assert [result.provenance for result in batch.results()] == [RUN] * 3


@pytest.mark.parametrize(
    "other",
    [
        {"model": "another"},
        {"weights": "another.pth"},
        {"revision": "fff"},
        {"threshold": 0.4},
        {"settings": {"nms": 0.3}},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_another_run_does_everything_again(images, tmp_path, other):
    run(images, tmp_path / "out")
    _, calls, _ = run(images, tmp_path / "out", provenance=replace(RUN, **other))
    assert calls == 3
    assert run(images, tmp_path / "out", provenance=replace(RUN, **other))[1] == 0


def spoil_image(images: Path, out: Path) -> None:
    Image.new("RGB", (64, 48), "green").save(images / "a.png")


def lose_record(images: Path, out: Path) -> None:
    (out / "a_detections.json").unlink()


def cut_record(images: Path, out: Path) -> None:
    path = out / "a_detections.json"
    path.write_bytes(path.read_bytes()[:-100])


def damage_record(images: Path, out: Path) -> None:
    path = out / "a_detections.json"
    path.write_text(path.read_text().replace('"mask_grid": "', '"mask_grid": "####'))


def swap_records(images: Path, out: Path) -> None:
    (out / "more" / "a_detections.json").replace(out / "a_detections.json")


@pytest.mark.parametrize(
    ("change", "again"),
    [(spoil_image, 1), (lose_record, 1), (cut_record, 1), (damage_record, 1), (swap_records, 2)],
    ids=["other image", "no record", "half a record", "damaged record", "another's record"],
)
def test_only_what_has_changed_is_done_again(images, tmp_path, change, again):
    run(images, tmp_path / "out")
    change(images, tmp_path / "out")
    outcomes, calls, _ = run(images, tmp_path / "out")
    assert calls == again
    assert not outcomes[0].reused
    assert run(images, tmp_path / "out")[1] == 0


def test_all_is_done_again_when_asked(images, tmp_path):
    run(images, tmp_path / "out")
    assert run(images, tmp_path / "out", overwrite=True)[1] == 3


def test_drawings_are_made_later_without_the_model(images, tmp_path):
    run(images, tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*.png"))
    _, calls, _ = run(images, tmp_path / "out", annotate=True)
    assert calls == 0
    assert len(list((tmp_path / "out").rglob("*.png"))) == 3


def test_a_drawing_of_an_older_result_is_made_again(images, tmp_path):
    run(images, tmp_path / "out", annotate=True)
    drawing = tmp_path / "out" / "a_detections.png"
    old = drawing.read_bytes()
    newer = replace(RUN, threshold=0.9)
    run(images, tmp_path / "out", provenance=newer)
    assert drawing.read_bytes() == old
    assert run(images, tmp_path / "out", provenance=newer, annotate=True)[1] == 0
    with Image.open(drawing) as drawn:
        assert json.loads(drawn.info["Settings"])["provenance"]["threshold"] == 0.9


def test_a_bad_image_is_reported_and_the_rest_is_done(images, tmp_path):
    (images / "a.png").write_text("no image")
    outcomes, calls, batch = run(images, tmp_path / "out")
    assert calls == 2
    assert "text file" in str(outcomes[0].error)
    assert [outcome.error for outcome in outcomes[1:]] == [None, None]
    assert [result.file_name for result in batch.results()] == ["b.png", "more/a.jpg"]


def test_what_an_earlier_run_found_is_no_result_of_an_image_that_fails_now(images, tmp_path):
    run(images, tmp_path / "out")
    (images / "a.png").write_text("no image")
    _, _, batch = run(images, tmp_path / "out")
    assert [result.file_name for result in batch.results()] == ["b.png", "more/a.jpg"]


def test_notes_stay_in_the_record(images, tmp_path):
    Image.effect_noise((64, 48), 90).save(images / "more" / "a.jpg")
    data = (images / "more" / "a.jpg").read_bytes()
    (images / "more" / "a.jpg").write_bytes(data[:-200])
    Image.new("RGBA", (64, 48), (9, 9, 9, 9)).save(images / "b.png")
    (first, *_), _, _ = run(images, tmp_path / "out")
    assert first.notes == ()
    outcomes, calls, batch = run(images, tmp_path / "out")
    assert calls == 0
    notes = {outcome.image.name: outcome.notes for outcome in outcomes}
    assert notes["b.png"] == ("Transparent parts were put on white.",)
    assert "is missing" in notes["more/a.jpg"][0]
    assert {result.file_name: result.notes for result in batch.results()} == notes


def test_an_interrupted_run_goes_on(images, tmp_path):
    fake = Fake()

    def stopped_by_the_user(image: Image.Image) -> Detections:
        if fake.calls == 2:
            raise KeyboardInterrupt
        return fake(image)

    with pytest.raises(KeyboardInterrupt):
        run(images, tmp_path / "out", detect=stopped_by_the_user)
    outcomes, calls, _ = run(images, tmp_path / "out")
    assert [outcome.reused for outcome in outcomes] == [True, True, False]
    assert calls == 1


def test_two_images_of_one_name_have_results_of_their_own(images, tmp_path):
    inputs = find_images([str(images / name) for name in ("a.png", "more/a.jpg")])
    assert all(outcome.error is None for outcome in BatchRun(inputs, tmp_path / "out", RUN).run(Fake()))
    assert files_in(tmp_path / "out") == [f"a{number}_detections.{ending}" for number in ("-2", "") for ending in ("json", "png")]
    assert all(outcome.reused for outcome in BatchRun(inputs, tmp_path / "out", RUN).run(Fake()))


def test_one_image_is_in_memory_at_a_time(images, tmp_path, monkeypatch):
    alive: list[weakref.ref[Image.Image]] = []
    most = 0
    real = batch_module.read_image

    def watched(*args, **kwargs):
        nonlocal most
        loaded = real(*args, **kwargs)
        alive.append(weakref.ref(loaded.image))
        most = max(most, sum(reference() is not None for reference in alive))
        return loaded

    monkeypatch.setattr(batch_module, "read_image", watched)
    outcomes: list[Outcome] = run(images, tmp_path / "out", annotate=True)[0]
    assert len(alive) == len(outcomes) == 3
    assert most == 1


def test_further_formats_are_written_from_the_records(images, tmp_path):
    _, _, batch = run(images, tmp_path / "out")
    written = batch.export(["coco", "yolo-pose"])
    assert {"coco_results.json", "yolo_pose/data.yaml", "yolo_pose/labels/b.txt"} <= set(written)
    assert set(written) <= set(files_in(tmp_path / "out"))
    entries = json.loads((tmp_path / "out" / "coco_results.json").read_text())
    assert [entry["file_name"] for entry in entries] == [name for name in ("a.png", "b.png", "more/a.jpg") for _ in range(2)]
    assert not [path for path in (tmp_path / "out").iterdir() if path.name.startswith(".")]


def test_no_input_is_written_over(images, tmp_path):
    """Results go beside the inputs, one of which is called like a result, one like a file of all, and one is linked."""
    (images / "a.png").rename(images / "b_detections.png")
    (images / "coco_results.json").write_text("an input, if a bad one")
    (images / "link_detections.png").symlink_to(images / "b.png")
    (images / "link.png").symlink_to(images / "b.png")
    inputs = find_images([str(images / name) for name in ("b.png", "b_detections.png", "link.png", "coco_results.json")])
    before = {image.path: Path(image.path).read_bytes() for image in inputs}
    batch = BatchRun(inputs, images, RUN)
    assert [outcome.error is None for outcome in batch.run(Fake())] == [True, True, True, False]
    assert "coco_results-2.json" in batch.export(["coco"])
    assert {path: Path(path).read_bytes() for path in before} == before
    records = {path.name for path in images.glob("*_detections.json")}
    assert records == {"b-2_detections.json", "b_detections_detections.json", "link-2_detections.json"}


def test_an_image_that_failed_keeps_its_number_free(images, tmp_path):
    (images / "b.png").write_text("no image")
    out = tmp_path / "out"
    _, _, batch = run(images, out)
    batch.export(["coco", "coco-dataset"])
    ids = {"a.png": 1, "more/a.jpg": 3}
    assert {entry["file_name"]: entry["image_id"] for entry in json.loads((out / "coco_results.json").read_text())} == ids
    assert {image["file_name"]: image["id"] for image in json.loads((out / "coco_dataset.json").read_text())["images"]} == ids


def test_ids_of_images_and_classes_can_be_given(images, tmp_path):
    out, notes = tmp_path / "out", []
    _, _, batch = run(images, out)
    numbering = Numbering((7, "x", None), "", "own.json", (Category(30, "dog"),))
    batch.export(["coco"], numbering=numbering, on_note=notes.append)
    results = json.loads((out / "coco_results.json").read_text())
    assert {(entry["file_name"], entry["image_id"], entry["category_id"]) for entry in results} == {("a.png", 7, 30), ("b.png", "x", 30)}
    assert len(notes) == 1
    with pytest.raises(ValueError, match="shorter"):
        batch.export(["coco"], numbering=number_images(["1.jpg"]))
