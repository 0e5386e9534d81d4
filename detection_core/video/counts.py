"""count_per_frame: the number of objects per class over the time of a video."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from detection_core.video.options import VideoOptions
from detection_core.video.records import FrameResults
from detection_core.video.track import track_objects


@dataclass(frozen=True)
class FrameCounts:
    """Numbers of objects over time.

    Attributes:
        times: Times of the processed frames, in seconds.
        counts: Class name → number of objects in each of these frames; the most frequent class first.
        total: Class name → number of different objects in the whole video, most frequent first; None without tracking.
    """

    times: list[float]
    counts: dict[str, list[int]]
    total: dict[str, int] | None


def count_per_frame(records: FrameResults, options: VideoOptions) -> FrameCounts:
    """Counts the objects that these options show."""
    times: list[float] = []
    seen: dict[str, dict[int, int]] = {}
    names: dict[int, str] = {}
    for number, frame in enumerate(track_objects(records, options)):
        times.append(frame.time_s)
        for name, count in frame.detections.counts().items():
            seen.setdefault(name, {})[number] = count
        if frame.ids is not None:
            names.update(zip(frame.ids.tolist(), frame.detections.names, strict=True))
    classes = sorted(seen, key=lambda name: -sum(seen[name].values()))
    counts = {name: [seen[name].get(number, 0) for number in range(len(times))] for name in classes}
    return FrameCounts(times, counts, dict(Counter(names.values()).most_common()) if options.track else None)
