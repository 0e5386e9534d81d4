from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from detection_core.errors import UserError
from detection_core.models.catalog import PERSON_MODEL, get_model_spec
from detection_core.ui.hosting.retention import Retention
from detection_core.ui.shared.visitor_store import VisitorStore
from detection_core.ui.video.jobs import VideoJobs
from detection_core.ui.video.work import VideoStore
from detection_core.video.io import open_video
from tests.video.io.videos import make_video

KEEP = 100.0


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Videos:
    """Owns files; a removed entry's folder goes at once."""

    def __init__(self) -> None:
        self.entries: dict[str, tuple[list[Path], bool]] = {}
        self.removed: list[str] = []

    def files(self) -> dict[Path, str | None]:
        return {path: None if busy else token for token, (paths, busy) in self.entries.items() for path in paths}

    def remove(self, token: str, *, evicted: bool = False) -> None:
        assert evicted
        self.removed.append(token)
        del self.entries[token]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "uploads"


@pytest.fixture
def write(folder: Path, clock: Clock) -> Callable[..., Path]:
    """Writes a file as Gradio does, into a folder of its own, as time goes by."""

    def write(name: str, size: int = 10, parent: str = "") -> Path:
        path = folder / (parent or secrets.token_hex(8)) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(size))
        os.utime(path, (clock.now, clock.now))
        return path

    return write


def test_uploads_that_were_broken_off_are_deleted_soon(folder, clock, write):
    """Gradio leaves them in the folder itself; while one is written, it changes."""
    retention = Retention(folder, 3600, clock=clock)
    complete, broken_off, slow = write("a.jpg"), write("tmpa", parent="."), write("tmpb", parent=".")
    retention.sweep()
    for _ in range(3):
        clock.now += 40
        os.utime(slow, (clock.now, clock.now))
        retention.sweep()
    assert [path.exists() for path in (complete, broken_off, slow)] == [True, False, True]


def test_files_are_deleted_after_their_time_and_not_before(folder, clock, write):
    retention = Retention(folder, KEEP, clock=clock)
    old = write("old.jpg")
    retention.sweep()
    clock.now += 60
    new = write("new.jpg")
    retention.sweep()
    clock.now += 41
    retention.sweep()
    assert (old.exists(), new.exists()) == (False, True)
    assert retention.bytes == 10
    clock.now += 60
    retention.sweep()
    assert not new.exists()


def test_a_file_that_is_uploaded_again_is_new(folder, clock, write):
    retention = Retention(folder, KEEP, clock=clock)
    path = write("a.jpg", parent="a")
    retention.sweep()
    clock.now += 60
    write("a.jpg", parent="a")
    retention.sweep()
    clock.now += 60
    retention.sweep()
    assert path.exists()


@pytest.mark.parametrize("jump", [-10 * 365 * 86400, 10 * 365 * 86400], ids=["back", "ahead"])
def test_a_machine_whose_time_jumps_neither_deletes_nor_keeps_everything(folder, clock, write, monkeypatch, jump):
    retention = Retention(folder, KEEP, clock=clock)
    before = write("before.jpg")
    retention.sweep()
    monkeypatch.setattr("time.time", lambda: clock.now + jump)
    clock.now += 50
    after = write("after.jpg")
    os.utime(after, (clock.now + jump, clock.now + jump))
    retention.sweep()
    assert before.exists()
    clock.now += 51
    retention.sweep()
    assert (before.exists(), after.exists()) == (False, True)


def test_beyond_the_quota_the_oldest_go_first(folder, clock, write):
    retention = Retention(folder, KEEP, quota_bytes=25, clock=clock)
    paths = []
    for number in range(4):
        paths.append(write(f"{number}.jpg"))
        clock.now += 1
    retention.sweep()
    assert [path.exists() for path in paths] == [False, False, True, True]
    assert retention.bytes == 20


def test_the_pages_own_files_stay(folder, clock, write):
    example = write("example.jpg")
    retention = Retention(folder, KEEP, quota_bytes=1, essential=lambda: {str(example)}, clock=clock)
    retention.sweep()
    clock.now += 2 * KEEP
    retention.sweep()
    assert example.exists()


def test_a_video_at_work_stays_and_an_idle_one_makes_room(folder, clock, write, caplog):
    videos = Videos()
    for token, busy in (("idle", False), ("busy", True)):
        upload, drawn = write(f"{token}.mp4", 40), write("drawn.mp4", 60, f"folder of {token}")
        videos.entries[token] = ([upload, drawn.parent], busy)
    retention = Retention(folder, KEEP, quota_bytes=50, owners=[videos], clock=clock)
    retention.sweep()
    assert videos.removed == ["idle"]
    retention.sweep()
    assert not list(folder.rglob("idle.mp4"))
    assert list(folder.rglob("busy.mp4"))
    assert "all of them are in use" in caplog.text
    # However long it takes.
    clock.now += 2 * KEEP
    retention.sweep()
    assert list(folder.rglob("busy.mp4"))


def test_results_are_forgotten_after_their_time(folder, clock):
    store: VisitorStore[str] = VisitorStore(lambda: UserError("gone"), 10, clock)
    old, used = store.put("old"), store.put("used")
    clock.now += 60
    store.find(used)
    clock.now += 60
    Retention(folder, KEEP, stores=[store], clock=clock).sweep()
    assert (store.get(old), store.get(used)) == (None, "used")


def test_a_file_that_cannot_be_deleted_does_not_stop_the_rest(folder, clock, write, monkeypatch, caplog):
    retention = Retention(folder, KEEP, clock=clock)
    stuck, other = write("a name of a visitor.jpg"), write("other.jpg")
    retention.sweep()
    unlink = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path.name == stuck.name:
            raise PermissionError(13, "Permission denied", str(path))
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    clock.now += 2 * KEEP
    retention.sweep()
    assert not other.exists()
    assert "Permission denied" in caplog.text
    assert "visitor.jpg" not in caplog.text


def test_empty_folders_and_unfinished_uploads_go(folder, clock, write):
    retention = Retention(folder, KEEP, clock=clock)
    unfinished = folder / "tmpabc"
    folder.mkdir()
    unfinished.write_bytes(b"half")
    write("a.jpg")
    retention.sweep()
    clock.now += 2 * KEEP
    retention.sweep()
    assert [path.is_dir() for path in folder.iterdir()] == [True]
    retention.sweep()
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("at_work", [False, True], ids=["idle", "at work"])
def test_a_video_goes_with_its_upload_and_folder_unless_it_is_at_work(folder, monkeypatch, at_work):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(folder))
    upload = folder / "0a1b" / "walk.mp4"
    upload.parent.mkdir(parents=True)
    make_video(upload, 4)
    store = VideoStore(folder, {str(upload)})
    video = store.begin("someone", get_model_spec(PERSON_MODEL), open_video(upload), "walk.mp4")
    (video.folder / "drawn.mp4").write_bytes(b"drawn")
    jobs, go = VideoJobs(), threading.Event()
    video.job = jobs.submit("someone", lambda job: go.wait(10) and None)
    if not at_work:
        go.set()
        assert video.job.wait(10)
    # Everything is older than that.
    retention = Retention(folder, -1, stores=[store], owners=[store])
    retention.sweep()
    deadline = time.monotonic() + 10
    while not at_work and (video.folder.exists() or upload.exists()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert (upload.exists(), (video.folder / "drawn.mp4").exists(), store.get(video.token) is video) == (at_work,) * 3
    go.set()
