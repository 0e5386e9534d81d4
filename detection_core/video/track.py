"""follow: from everything found in a video's frames to what is shown of it: the objects, and who is who."""

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

# From so many frames a second on, what is there appears in two frames running; what does not is mostly a mistake.
_RATE_TO_WAIT = 5.0


@dataclass(frozen=True, eq=False)
class TrackedFrame:
    """What is shown of one frame.

    Attributes:
        index: The frame's number among all frames of the file, from 0.
        time_s: When it is shown, in seconds.
        detections: The objects; with tracking, their boxes are smoothed.
        ids: int64 [N], from 1, the same number for an object in all frames; None without tracking.
    """

    index: int
    time_s: float
    detections: Detections
    ids: NDArray[np.int64] | None


def track_objects(records: FrameResults, options: VideoOptions) -> Iterator[TrackedFrame]:
    """What is shown of each frame, by threshold, classes and, if wanted, tracker; the same for the same records and options.

    From five frames a second on, an object must be found in two frames running to be one, and is then shown in both of them. One that
    is found in a single frame is not shown, also if the video ends there. An object's number does not depend on which classes are shown.
    """
    return track_frames(records, options, options.rate(records.video))


def track_frames(records: Iterable[FrameRecord], options: VideoOptions, rate: float) -> Iterator[TrackedFrame]:
    """As `track`, for records that are being made, at so many frames a second; gives each frame when the next one is there."""
    frames = _follow_all(records, options, rate)
    return frames if options.classes is None else (_only(frame, options.classes) for frame in frames)


def _only(frame: TrackedFrame, classes: frozenset[str]) -> TrackedFrame:
    """A frame with the objects of these classes."""
    shown = np.array([name in classes for name in frame.detections.names], np.bool_)
    return replace(frame, detections=frame.detections[shown], ids=None if frame.ids is None else frame.ids[shown])


def _follow_all(records: Iterable[FrameRecord], options: VideoOptions, rate: float) -> Iterator[TrackedFrame]:
    """What is shown of each frame where all classes are."""
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
            yield _with_newcomers(*before, record.detections[tracked.indices[new]], tracked.ids[new], tracker)
        before, highest = (record, tracked), int(tracked.ids.max(initial=highest))
    if before is not None:
        record, tracked = before
        yield TrackedFrame(record.index, record.time_s, tracked.detections, tracked.ids)


def _with_newcomers(
    record: FrameRecord, tracked: TrackedDetections, newcomers: Detections, their_ids: NDArray[np.int64], tracker: Tracker
) -> TrackedFrame:
    """A frame with those objects, too, that only the next frame confirmed; they are where that frame's newcomers are."""
    if not len(newcomers):
        return TrackedFrame(record.index, record.time_s, tracked.detections, tracked.ids)
    found = record.detections
    free = found.scores >= tracker.high_score
    free[tracked.indices] = False
    allowed = same_names(found.names, newcomers.names) & free[:, None]
    pairs = np.array(match(iou_matrix(found.boxes, newcomers.boxes), allowed, tracker.iou), np.int64).reshape(-1, 2)
    indices = np.concatenate([tracked.indices, pairs[:, 0]])
    order = np.argsort(indices)
    boxes = np.concatenate([tracked.detections.boxes, found.boxes[pairs[:, 0]]])
    ids = np.concatenate([tracked.ids, their_ids[pairs[:, 1]]])
    return TrackedFrame(record.index, record.time_s, replace(found[indices[order]], boxes=boxes[order]), ids[order])
