"""FrameResults: the detections in a video's frames, stored on disk so that memory does not grow with the video's length."""

from __future__ import annotations

import json
import tempfile
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np

from detection_core.detections import Detections
from detection_core.video.io import VideoFile

# The stored types of the arrays that differ from frame to frame.
_ARRAYS = {name: np.dtype("<f4") for name in ("boxes", "scores", "masks", "keypoints", "keypoint_scores")} | {"labels": np.dtype("<i8")}


@dataclass(frozen=True, eq=False)
class FrameRecord:
    """The detections in one frame.

    Attributes:
        index: Index of the frame among all frames of the file, from 0.
        time_s: Time at which it is shown, in seconds.
        detections: All detections down to the lowest stored score.
    """

    index: int
    time_s: float
    detections: Detections


class FrameResults:
    """The detections of one model in the frames of one video, in order of time, without loss.

    Iterating reads one `FrameRecord` after the other. It may be repeated, and frames added meanwhile are not included.

    Attributes:
        video: The video.

    Args:
        video: The video.
        file: The file in which they are stored; an existing one is replaced. None: a temporary file, deleted by `close` or with the object.
    """

    def __init__(self, video: VideoFile, file: Path | None = None) -> None:
        self.video = video
        is_temporary = file is None
        if file is None:
            with tempfile.NamedTemporaryFile(prefix="video-", suffix=".records", delete=False) as made:
                file = Path(made.name)
        self._path = file
        self._file: BinaryIO = file.open("wb")
        # Also at the end of the process or of this object, for those who do not close it.
        self._close = weakref.finalize(self, _close, self._file, file if is_temporary else None)
        self._frames = 0
        self._nothing: Detections | None = None

    def append(self, index: int, time_s: float, detections: Detections) -> None:
        """Adds the next frame.

        Raises:
            ValueError: If the model or the size of the frames differs from the previous frames.
            OSError: If the disk is full.
        """
        if self._nothing is None:
            self._nothing = detections[:0]
        elif _origin(detections) != _origin(self._nothing):
            raise ValueError("all frames of a video must have one size and come from one model")
        arrays = {name: value for name in _ARRAYS if (value := getattr(detections, name)) is not None}
        header = {"index": index, "time_s": time_s, "shapes": {name: value.shape for name, value in arrays.items()}}
        content = [value.astype(_ARRAYS[name]).tobytes() for name, value in arrays.items()]
        self._file.write(b"".join([json.dumps(header).encode(), b"\n", *content]))
        self._frames += 1

    def __iter__(self) -> Iterator[FrameRecord]:
        frames = self._frames
        self._file.flush()
        with self._path.open("rb") as file:
            for _ in range(frames):
                yield self._read(file)

    def _read(self, file: BinaryIO) -> FrameRecord:
        header: dict[str, Any] = json.loads(file.readline())
        arrays: dict[str, Any] = dict.fromkeys(_ARRAYS)
        for name, shape in header["shapes"].items():
            dtype = _ARRAYS[name]
            arrays[name] = np.frombuffer(file.read(int(np.prod(shape)) * dtype.itemsize), dtype).reshape(shape)
        assert self._nothing is not None
        return FrameRecord(header["index"], header["time_s"], replace(self._nothing, **arrays))

    def __len__(self) -> int:
        return self._frames

    def close(self) -> None:
        """Closes the file, and deletes a temporary one. Further calls do nothing.

        Raises:
            OSError: If the disk is full, so that the latest frames could not be written; the file is closed and deleted all the same.
        """
        self._close()

    def __enter__(self) -> FrameResults:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _close(file: BinaryIO, temporary: Path | None) -> None:
    try:
        file.close()
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _origin(detections: Detections) -> tuple[Any, ...]:
    return detections.image_size, detections.categories, detections.keypoint_names, detections.model
