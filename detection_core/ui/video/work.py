"""Visitors' videos on the server and the work on them: detection, and drawing the detections again without the model."""

from __future__ import annotations

import secrets
import shutil
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from PIL import Image

from detection_core.detections import Detections
from detection_core.engine import Engine, EngineBusyError, Job, JobState, Stage
from detection_core.errors import UserError
from detection_core.images.reading import read_image
from detection_core.models.spec import ModelSpec
from detection_core.ui.shared.progress import status_of
from detection_core.ui.shared.uploads import is_upload, version_of
from detection_core.ui.shared.visitor_store import VisitorStore, new_token
from detection_core.ui.video.frame_times import FrameTimes
from detection_core.ui.video.jobs import VideoJob
from detection_core.video import (
    FrameCounts,
    FrameResults,
    VideoOptions,
    VideoProgress,
    VideoResult,
    count_per_frame,
    detect_video,
    lowest_kept,
    render_video,
)
from detection_core.video.io import VideoFile

_POLL_SECONDS = 0.25
_PAUSE_WHEN_FULL = 0.5
# Frames of a video in the engine, which accepts eight images of a visitor at a time.
_MAX_IN_FLIGHT = 6


class VideoExpiredError(UserError):
    """The video's results are no longer kept; the message is for people."""

    def __init__(self) -> None:
        super().__init__("This video's results are no longer kept on the server. Press Detect to process it again.")


@dataclass(frozen=True, eq=False)
class Drawn:
    """One annotated video and the facts that are shown with it.

    Attributes:
        path: The video.
        options: How it was made.
        counts: How many objects there are in each frame, of all classes: also of those that are switched off, to choose from.
        complete: Whether detection reached the video's end.
        seconds: How long detection took.
        notes: Remarks for the visitor.
    """

    path: Path
    options: VideoOptions
    counts: FrameCounts
    complete: bool
    seconds: float
    notes: tuple[str, ...]


@dataclass(eq=False)
class VisitorVideo:
    """One visitor's video and its model.

    Attributes:
        visitor: The visitor who uploaded it.
        spec: The model.
        video: The uploaded file.
        name: What the visitor calls it.
        folder: Where its records and videos are; it is deleted with the video.
        token: Its name, which cannot be guessed: whoever knows it may see the results.
        upload: Which upload of that file it is, see `version_of`.
        job: The current job on it, or the latest.
        records: All detections.
        drawn: The latest annotated video.
    """

    visitor: str
    spec: ModelSpec
    video: VideoFile
    name: str
    folder: Path
    token: str = field(default_factory=new_token)
    upload: tuple[int, int] | None = None
    job: VideoJob | None = None
    records: FrameResults | None = None
    drawn: Drawn | None = None


class VideoStore(VisitorStore[VisitorVideo]):
    """Keeps the videos, one for each visitor, each with a folder of its own.

    The uploaded file is deleted with the video when the visitor has left or begun another one: it is large, and Gradio would keep it for
    hours. Gradio names files by their content, so another visitor may have sent the same one; then it stays.

    Args:
        folder: Where the folders are made.
        uploads: What visitors have uploaded, see `is_upload`; no other file is deleted.
        capacity: How many videos are kept; the least recently used one is evicted, unless it is being processed.
    """

    def __init__(self, folder: Path, uploads: Collection[str] = (), capacity: int = 200) -> None:
        super().__init__(VideoExpiredError, capacity)
        self._folder = folder
        self._uploads = uploads

    def begin(self, visitor: str, spec: ModelSpec, source: VideoFile, name: str) -> VisitorVideo:
        """Adds a video in place of the visitor's earlier one."""
        with self._lock:
            self.leave(visitor)
            folder = self._folder / secrets.token_hex(16)
            folder.mkdir(parents=True)
            video = VisitorVideo(visitor, spec, source, name, folder, upload=version_of(source.path))
            self.put(video, token=video.token, visitor=visitor)
            return video

    def files(self) -> dict[Path, str | None]:
        """Uploads and folders of the videos, each with the token of its video, or None while it is being worked on."""
        with self._lock:
            return {
                path: token if self._may_be_evicted(video) else None
                for token, video in self._entries.items()
                for path in (video.video.path, video.folder)
            }

    def _may_be_evicted(self, entry: VisitorVideo) -> bool:
        return entry.job is None or entry.job.state.is_over

    def _on_removed(self, entry: VisitorVideo, *, evicted: bool) -> None:
        # In a thread of its own: a job that is still writing would create its files again after the folder is gone.
        # The visitor of an evicted video may want to process the same file again.
        threading.Thread(target=self._delete_files, args=[entry], kwargs={"with_upload": not evicted}, name="discard", daemon=True).start()

    def _delete_files(self, video: VisitorVideo, *, with_upload: bool) -> None:
        """Deletes all files of a video once its job is over."""
        if video.job is not None:
            video.job.wait()
        if video.records is not None:
            # On a full disk the rest cannot be written; it is deleted anyway, which makes room.
            with suppress(OSError):
                video.records.close()
        shutil.rmtree(video.folder, ignore_errors=True)
        if with_upload and is_upload(video.video.path, self._uploads):
            self._delete_upload(video)

    def _delete_upload(self, video: VisitorVideo) -> None:
        """Deletes the uploaded file, unless another video uses it, or the same file has just been uploaded again."""
        path = video.video.path
        with self._lock, suppress(OSError):
            if version_of(path) == video.upload and all(kept.video.path != path for kept in self._entries.values()):
                path.unlink()


def detect_objects(video: VisitorVideo, options: VideoOptions, engine: Engine, times: FrameTimes, job: VideoJob) -> None:
    """Detects objects in the video, frame by frame, and draws them; if that ends early, the frames so far are kept.

    Raises:
        Cancelled: If it was cancelled before the first frame.
        VideoError, WeightsError, EngineError: If it fails before the first frame.
    """
    started = time.monotonic()
    records = video.records = FrameResults(video.video, video.folder / "found.records")
    out = video.folder / f"{secrets.token_hex(8)}.mp4"
    floor = lowest_kept(video.spec.min_score, video.spec.default_threshold, options.threshold)
    detect = frame_detector(engine, video.spec, video.visitor, job)
    try:
        # One more than run at a time, so that the engine need not wait for the next one.
        max_in_flight = min(engine.max_in_flight, _MAX_IN_FLIGHT)
        result = detect_video(
            records, detect, out, options, floor=floor, max_in_flight=max_in_flight, on_progress=_reporter(job), cancelled=job.cancelled
        )
    except (CancelledError, UserError) as error:
        if not records or not out.exists():
            raise
        notes = () if isinstance(error, CancelledError) else (f"Detection ended early. {error}",)
        result = VideoResult(len(records), False, 0.0, out, notes)
    if not result.frames:
        raise CancelledError
    seconds = time.monotonic() - started
    if result.complete:
        times.put(video.spec, video.video.size, seconds / result.frames)
    video.drawn = Drawn(out, options, _count_all(records, options), result.complete, seconds, result.notes)


def draw_again(video: VisitorVideo, options: VideoOptions, job: VideoJob) -> None:
    """Draws the detections with other options; if that is cancelled or fails, the former video stays.

    Raises:
        Cancelled: If it was cancelled.
        VideoError: If it fails.
    """
    former, records = video.drawn, video.records
    if records is None or former is None:
        raise VideoExpiredError
    out = video.folder / f"{secrets.token_hex(8)}.mp4"
    try:
        result = render_video(records, out, options, on_progress=_reporter(job), cancelled=job.cancelled)
        if not result.complete and job.cancelled():
            raise CancelledError
        # Detection is as it was.
        video.drawn = Drawn(out, options, _count_all(records, options), former.complete, former.seconds, result.notes)
    except BaseException:
        out.unlink(missing_ok=True)
        raise
    former.path.unlink(missing_ok=True)


def _count_all(records: FrameResults, options: VideoOptions) -> FrameCounts:
    return count_per_frame(records, replace(options, classes=None))


def _reporter(job: VideoJob) -> Callable[[VideoProgress], None]:
    return lambda progress: job.report(progress=progress)


def frame_detector(engine: Engine, spec: ModelSpec, visitor: str, job: VideoJob) -> Callable[[Image.Image], Detections]:
    """A function that detects objects in one frame; in the engine, other visitors' images take turns with it."""

    def detect(image: Image.Image) -> Detections:
        frame = _submit(image, engine, spec, visitor, job)
        seen = JobState(Stage.LOAD)
        while not frame.future.done():
            # A run ends soon anyway; a download may take minutes.
            if job.cancelled() and frame.state.stage in (Stage.DOWNLOAD, Stage.LOAD):
                frame.cancel()
            seen = frame.wait_for_change(seen, _POLL_SECONDS)
            if seen.stage in (Stage.DOWNLOAD, Stage.LOAD) and not frame.future.done():
                job.report(status=status_of(seen, spec.title))
        return frame.result(0).detections

    return detect


def _submit(image: Image.Image, engine: Engine, spec: ModelSpec, visitor: str, job: VideoJob) -> Job:
    """Submits a frame; a video can wait until the engine has room for it."""
    loaded = read_image(image)
    while True:
        try:
            return engine.submit(loaded, spec, visitor=visitor, keep=False)
        except EngineBusyError:
            if job.cancelled():
                raise CancelledError from None
            time.sleep(_PAUSE_WHEN_FULL)
