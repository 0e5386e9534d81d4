"""Detection in one image of a batch, as the browser asks for it; nothing of what it sends is trusted."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from detection_core.engine import EngineError
from detection_core.images.reading import ImageError
from detection_core.models.catalog import PERSON_MODEL, get_model_spec
from detection_core.models.weights import WeightsError
from detection_core.ui.batch import images as batch_images
from detection_core.ui.batch.images import detect_in_image, uploaded_file
from detection_core.ui.batch.store import Batch, BatchStore
from detection_core.ui.shared.uploads import image_name
from tests.ui.asynchronous import finish
from tests.ui.fake_engine import FakeEngine


@pytest.fixture
def uploads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where Gradio keeps uploads; no other files may be read."""
    folder = tmp_path / "uploads"
    (folder / "hash").mkdir(parents=True)
    (tmp_path / "secret.png").write_bytes(b"secret")
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(folder))
    monkeypatch.setattr(batch_images, "_PATIENCE", 0.05)
    return folder


@pytest.fixture
def batches() -> BatchStore:
    return BatchStore()


@pytest.fixture
def batch(batches: BatchStore) -> Batch:
    return batches.begin("visitor", get_model_spec(PERSON_MODEL))


def put_image(folder: Path, name: str = "a.png", size: tuple[int, int] = (640, 320)) -> str:
    path = folder / "hash" / name
    Image.new("RGB", size, "navy").save(path)
    return str(path)


def ask(
    engine: FakeEngine, batches: BatchStore, batch: Batch, path: str, key: str = "1", *, limit: int = 10, **more: Any
) -> dict[str, Any]:
    sent = {"batch": batch.token, "id": key, "path": path, "name": "trip/a.png"} | more
    return finish(detect_in_image(sent, engine, batches, limit))


def test_an_image_gives_its_objects_and_a_thumbnail(uploads, batches, batch):
    answer = ask(FakeEngine(), batches, batch, put_image(uploads))["result"]
    assert (answer["width"], answer["height"], answer["ms"], answer["name"]) == (640, 320, 250, "trip/a.png")
    assert [thing["score"] for thing in answer["objects"]] == [0.95, 0.525, 0.1]
    assert set(answer["objects"][0]) == {"class_id", "score", "box", "color"}
    assert {"json", "png", "yolo-pose", "yolo-segment"} <= set(answer["formats"])
    kind, data = answer["thumbnail"].split(",")
    assert kind == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as thumbnail:
        assert thumbnail.size == (480, 240)
    kept = batch.images["1"]
    assert (kept.name, len(kept.detections), batch.running) == ("trip/a.png", 3, {})


def test_it_is_asked_again_until_there_is_an_answer(uploads, batches, batch):
    engine, path = FakeEngine(holds=True), put_image(uploads)
    for _ in range(2):
        assert ask(engine, batches, batch, path)["status"]["stage"] == "run"
    assert len(engine.waiting) == 1
    engine.release()
    assert "result" in ask(engine, batches, batch, path)


def test_two_images_at_a_time(uploads, batches, batch):
    engine, path = FakeEngine(holds=True), put_image(uploads)
    answers = [ask(engine, batches, batch, path, key) for key in "123"]
    assert [set(answer) for answer in answers] == [{"status"}, {"status"}, {"busy"}]


def test_a_cancelled_image_can_be_sent_again(uploads, batches, batch):
    engine, path = FakeEngine(holds=True), put_image(uploads)
    ask(engine, batches, batch, path)
    (job,) = engine.waiting
    batch.cancel()
    assert job.cancelled
    engine.release()
    assert "result" in ask(engine, batches, batch, path)


def test_a_batch_has_a_limit(uploads, batches, batch):
    path = put_image(uploads)
    assert "result" in ask(FakeEngine(), batches, batch, path, "1", limit=1)
    assert "at most 1 images" in ask(FakeEngine(), batches, batch, path, "2", limit=1)["error"]
    # The same one again takes no more room.
    assert "result" in ask(FakeEngine(), batches, batch, path, "1", limit=1)


def test_a_bad_image_says_why_and_leaves_its_place(uploads, batches, batch):
    path = uploads / "hash" / "letter.jpg"
    path.write_text("dear image")
    assert ask(FakeEngine(), batches, batch, str(path))["error"].startswith("This is a text file")
    assert (batch.running, batch.images) == ({}, {})


def test_an_engine_that_refuses_says_why(uploads, batches, batch):
    engine = FakeEngine()
    engine.refusals = [EngineError("Too many images are waiting already.")]
    assert ask(engine, batches, batch, put_image(uploads)) == {"error": "Too many images are waiting already."}
    assert batch.running == {}


def test_a_model_that_is_not_available_says_so_once_for_all_images(uploads, batches, batch):
    engine = FakeEngine()
    engine.failures = [WeightsError("The weights cannot be downloaded.")]
    problem = {"title": "The model is not available", "text": "The weights cannot be downloaded."}
    assert ask(engine, batches, batch, put_image(uploads)) == {"unavailable": problem}
    assert (batch.running, batch.images) == ({}, {})


@pytest.mark.parametrize("sent", [None, 7, [], {}, {"batch": 7}, {"batch": "guessed"}, {"batch": ["x"], "id": {}}], ids=str)
def test_nothing_is_done_without_a_batch(sent, batches):
    answer = finish(detect_in_image(sent, FakeEngine(), batches, 10))
    assert set(answer) == {"expired"}


@pytest.mark.parametrize(
    "path", ["../secret.png", "/etc/passwd", "", ".", "hash/../../secret.png", "a\0b", "a" * 300, 7, None, {"path": "x"}], ids=repr
)
def test_only_uploads_are_read(path, uploads):
    sent = str(uploads / path) if isinstance(path, str) and path and not path.startswith("/") else path
    with pytest.raises(ImageError, match="no longer on the server"):
        uploaded_file(sent)


def test_a_link_out_of_the_uploads_is_not_followed(uploads):
    (uploads / "hash" / "a.png").symlink_to(uploads.parent / "secret.png")
    with pytest.raises(ImageError):
        uploaded_file(str(uploads / "hash" / "a.png"))


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ("a.png", "a.png"),
        ("trip/day 1/a.png", "trip/day 1/a.png"),
        ("../../etc/a.png", "etc/a.png"),
        ("/etc/a.png", "etc/a.png"),
        ("..\\..\\a.png", "a.png"),
        ("C:\\a.png", "C:/a.png"),
        ("line\nbreak\0.png", "linebreak.png"),
        ("\ud800a\u202egnp.png", "agnp.png"),
        ("x" * 300 + ".png", "x" * 236 + ".png"),
        ("", "upload.png"),
        ("../..", "upload.png"),
        (7, "upload.png"),
    ],
)
def test_names_lead_out_of_no_folder(sent, name):
    assert image_name(sent, Path("/cache/upload.png")) == name
