"""track_objects: selects and tracks the objects that are shown in a video's frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from detection_core.detections import Detections
from detection_core.detections.matching import iou_matrix, match, same_names
from detection_core.detections.tracking import TrackedDetections, Tracker
from detection_core.video.options import VideoOptions
from detection_core.video.records import FrameRecord, FrameResults

# From this many frames per second on, a real object appears in two consecutive frames; others are mostly false positives.
_RATE_TO_WAIT = 5.0


@dataclass(frozen=True, eq=False)
class TrackedFrame:
    """The objects that are shown in one frame.

    Attributes:
        index: Index of the frame among all frames of the file, from 0.
        time_s: Time at which it is shown, in seconds.
        detections: The objects; with tracking, their boxes are smoothed.
        ids: int64 [N], track ids from 1, the same in all frames; None without tracking.
    """

    index: int
    time_s: float
    detections: Detections
    ids: NDArray[np.int64] | None


def track_objects(records: FrameResults, options: VideoOptions) -> Iterator[TrackedFrame]:
    """Yields the objects shown in each frame, by threshold, classes and, if enabled, tracker; the same for the same records and options.

    From five frames per second on, an object must be found in two consecutive frames, and is then shown in both. One that
    is found in a single frame is not shown, even if the video ends there. Track ids do not depend on which classes are shown.
    """
    return track_frames(records, options, options.rate(records.video))


def track_frames(records: Iterable[FrameRecord], options: VideoOptions, rate: float) -> Iterator[TrackedFrame]:
    """Does the same as `track_objects` while records are added, `rate` per second; yields each frame when the next one is available."""
    frames = _track_all(records, options, rate)
    return frames if options.classes is None else (_only(frame, options.classes) for frame in frames)


def _only(frame: TrackedFrame, classes: frozenset[str]) -> TrackedFrame:
    """Returns the frame with only the objects of these classes."""
    shown = np.array([name in classes for name in frame.detections.names], np.bool_)
    return replace(frame, detections=frame.detections[shown], ids=None if frame.ids is None else frame.ids[shown])


def _track_all(records: Iterable[FrameRecord], options: VideoOptions, rate: float) -> Iterator[TrackedFrame]:
    """Yields the objects of all classes that are shown in each frame."""
    if not options.track:
        for record in records:
            shown = record.detections[record.detections.scores >= options.threshold]
            yield TrackedFrame(record.index, record.time_s, shown, None)
        return
    tracker = Tracker(high_score=options.threshold, low_score=options.low_score, min_hits=2 if rate >= _RATE_TO_WAIT else 1)
    before: tuple[FrameRecord, TrackedDetections] | None = None
    highest = 0
    for record in records:
        tracked = tracker.update(record.detections, record.time_s)
        if before is not None:
            new = tracked.ids > highest
            yield _with_confirmed(*before, record.detections[tracked.indices[new]], tracked.ids[new], tracker)
        before, highest = (record, tracked), int(tracked.ids.max(initial=highest))
    if before is not None:
        record, tracked = before
        yield TrackedFrame(record.index, record.time_s, tracked.detections, tracked.ids)


def _with_confirmed(
    record: FrameRecord, tracked: TrackedDetections, confirmed: Detections, ids: NDArray[np.int64], tracker: Tracker
) -> TrackedFrame:
    """Adds to a frame the objects that only the next frame confirmed, by matching them with the new objects of that frame."""
    if not len(confirmed):
        return TrackedFrame(record.index, record.time_s, tracked.detections, tracked.ids)
    found = record.detections
    free = found.scores >= tracker.high_score
    free[tracked.indices] = False
    allowed = same_names(found.names, confirmed.names) & free[:, None]
    pairs = np.array(match(iou_matrix(found.boxes, confirmed.boxes), allowed, tracker.iou), np.int64).reshape(-1, 2)
    indices = np.concatenate([tracked.indices, pairs[:, 0]])
    order = np.argsort(indices)
    boxes = np.concatenate([tracked.detections.boxes, found.boxes[pairs[:, 0]]])
    all_ids = np.concatenate([tracked.ids, ids[pairs[:, 1]]])
    return TrackedFrame(record.index, record.time_s, replace(found[indices[order]], boxes=boxes[order]), all_ids[order])
