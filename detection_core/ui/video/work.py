"""What the server keeps of visitors' videos, and the work on them: looking with a model, and drawing again without one."""

from __future__ import annotations

import secrets
import shutil
import threading
import time
from collections import OrderedDict
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

_GLANCE = 0.25
_PAUSE_WHEN_FULL = 0.5
# Frames of a video in the engine; it takes eight images of a visitor at a time.
_MAX_IN_FLIGHT = 6


class VideoExpiredError(UserError):
    """The video's results are no longer kept; the message is for people."""

    def __init__(self) -> None:
        super().__init__("This video's results are no longer kept on the server. Press Detect to look at it again.")


@dataclass(frozen=True, eq=False)
class Drawn:
    """One annotated video and what is told of it.

    Attributes:
        path: The video.
        options: How it was made.
        counts: What there is at which time, in all classes: those that are switched off too, to choose from.
        complete: Whether the model looked at the video to its end.
        seconds: How long that took.
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
    """One visitor's video that a model looks at.

    Attributes:
        visitor: Whose it is.
        spec: The model.
        video: The uploaded file.
        name: What the visitor calls it.
        folder: Where its records and videos are; it goes with the video.
        token: Its name, which nobody can guess: whoever knows it may see the results.
        upload: Which upload of that file it is, see `version_of`.
        job: What is being done with it, or was last.
        records: Everything that was found.
        drawn: The latest annotated video.
    """

    visitor: str
    spec: ModelSpec
    video: VideoFile
    name: str
    folder: Path
    token: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    upload: tuple[int, int] | None = None
    job: VideoJob | None = None
    records: FrameResults | None = None
    drawn: Drawn | None = None


class VideoStore:
    """Keeps the videos, one a visitor, each with a folder of its own.

    The file that a visitor sent goes with the video, too, when the visitor has left or begun another one: it is large, and Gradio would
    keep it for hours. But Gradio names files by their content, so it may be somebody else's as well; then it stays.

    Args:
        folder: Where the folders are made.
        uploads: What visitors have sent, see `is_upload`; no other file is deleted.
        capacity: How many videos are kept; the one not used for longest goes first, unless something is being done with it.
    """

    def __init__(self, folder: Path, uploads: Collection[str] = (), capacity: int = 200) -> None:
        self._folder = folder
        self._uploads = uploads
        self._capacity = capacity
        self._videos: OrderedDict[str, VisitorVideo] = OrderedDict()
        self._lock = threading.RLock()

    def begin(self, visitor: str, spec: ModelSpec, source: VideoFile, name: str) -> VisitorVideo:
        """A new video in place of the visitor's earlier one."""
        with self._lock:
            self.leave(visitor)
            idle = [video for video in self._videos.values() if video.job is None or video.job.state.is_over]
            for video in idle[: max(0, len(self._videos) + 1 - self._capacity)]:
                # Its visitor is still there, and may have it looked at again.
                self._drop(video, with_upload=False)
            folder = self._folder / secrets.token_hex(16)
            folder.mkdir(parents=True)
            video = VisitorVideo(visitor, spec, source, name, folder, upload=version_of(source.path))
            self._videos[video.token] = video
            return video

    def find(self, token: object) -> VisitorVideo:
        """Finds a video by its name.

        Raises:
            VideoExpiredError: If there is none, or no longer.
        """
        with self._lock:
            if not isinstance(token, str) or token not in self._videos:
                raise VideoExpiredError
            self._videos.move_to_end(token)
            return self._videos[token]

    def leave(self, visitor: str) -> None:
        """Lets go of the video of a visitor who has gone; its job must have been given up."""
        with self._lock:
            for video in [video for video in self._videos.values() if video.visitor == visitor]:
                self._drop(video, with_upload=True)

    def _drop(self, video: VisitorVideo, *, with_upload: bool) -> None:
        self._videos.pop(video.token)
        # In a thread of its own: what is written just now would come back after the folder.
        threading.Thread(target=self._discard, args=[video, with_upload], name="discard", daemon=True).start()

    def _discard(self, video: VisitorVideo, with_upload: bool) -> None:
        """Removes everything of a video from the disk, when its job is over."""
        if video.job is not None:
            video.job.wait()
        if video.records is not None:
            video.records.close()
        shutil.rmtree(video.folder, ignore_errors=True)
        if with_upload and is_upload(video.video.path, self._uploads):
            self._free(video)

    def _free(self, video: VisitorVideo) -> None:
        """Deletes the file that the visitor sent, unless another video is of it, or somebody has just sent the same again."""
        path = video.video.path
        with self._lock, suppress(OSError):
            if version_of(path) == video.upload and all(kept.video.path != path for kept in self._videos.values()):
                path.unlink()


def look(video: VisitorVideo, options: VideoOptions, engine: Engine, times: FrameTimes, job: VideoJob) -> None:
    """Has the model look at the video, frame after frame, and draws what it finds; a video that ends early is kept as far as it came.

    Raises:
        Cancelled: If it was given up before the first frame.
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
            records, detect, out, options, floor=floor, max_in_flight=max_in_flight, on_progress=_teller(job), cancelled=job.cancelled
        )
    except (CancelledError, UserError) as error:
        if not records or not out.exists():
            raise
        notes = () if isinstance(error, CancelledError) else (f"It ended early. {error}",)
        result = VideoResult(len(records), False, 0.0, out, notes)
    if not result.frames:
        raise CancelledError
    seconds = time.monotonic() - started
    if result.complete:
        times.put(video.spec, video.video.size, seconds / result.frames)
    video.drawn = Drawn(out, options, _count_all(records, options), result.complete, seconds, result.notes)


def draw_again(video: VisitorVideo, options: VideoOptions, job: VideoJob) -> None:
    """Draws what was found in another way; when it is given up or fails, the former video stays.

    Raises:
        Cancelled: If it was given up.
        VideoError: If it fails.
    """
    former, records = video.drawn, video.records
    if records is None or former is None:
        raise VideoExpiredError
    out = video.folder / f"{secrets.token_hex(8)}.mp4"
    try:
        result = render_video(records, out, options, on_progress=_teller(job), cancelled=job.cancelled)
        if not result.complete and job.cancelled():
            raise CancelledError
        # How far the model looked, and how long, is as before.
        video.drawn = Drawn(out, options, _count_all(records, options), former.complete, former.seconds, result.notes)
    except BaseException:
        out.unlink(missing_ok=True)
        raise
    former.path.unlink(missing_ok=True)


def _count_all(records: FrameResults, options: VideoOptions) -> FrameCounts:
    return count_per_frame(records, replace(options, classes=None))


def _teller(job: VideoJob) -> Callable[[VideoProgress], None]:
    return lambda progress: job.tell(progress=progress)


def frame_detector(engine: Engine, spec: ModelSpec, visitor: str, job: VideoJob) -> Callable[[Image.Image], Detections]:
    """A function that sends one frame through the engine, where other visitors' images have their turns in between."""

    def detect(image: Image.Image) -> Detections:
        frame = _submit(image, engine, spec, visitor, job)
        seen = JobState(Stage.LOAD)
        while not frame.future.done():
            # A frame in the network is worth waiting for; a download is not.
            if job.cancelled() and frame.state.stage in (Stage.DOWNLOAD, Stage.LOAD):
                frame.cancel()
            seen = frame.wait_for_change(seen, _GLANCE)
            if seen.stage in (Stage.DOWNLOAD, Stage.LOAD) and not frame.future.done():
                job.tell(status=status_of(seen, spec.title))
        return frame.result(0).detections

    return detect


def _submit(image: Image.Image, engine: Engine, spec: ModelSpec, visitor: str, job: VideoJob) -> Job:
    """Submits a frame; where too many images wait already, a video has time."""
    loaded = read_image(image)
    while True:
        try:
            return engine.submit(loaded, spec, visitor=visitor, keep=False)
        except EngineBusyError:
            if job.cancelled():
                raise CancelledError from None
            time.sleep(_PAUSE_WHEN_FULL)
