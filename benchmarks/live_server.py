"""Measures the server of the camera view alone: many visitors without browsers, and its memory after many frames."""

from __future__ import annotations

import asyncio
import base64
import gc
import itertools
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import markdown_table
from benchmarks.live_camera import make_images
from detection_core.detections import Detections
from detection_core.engine import Engine, Job, LocalEngine, Result
from detection_core.images.reading import LoadedImage
from detection_core.models.catalog import PERSON_MODEL, ModelSpec, get_model_spec
from detection_core.models.detector import Timings
from detection_core.ui.live.frames import detect_in_frame
from detection_core.ui.live.streams import LiveStreams


def resident_bytes(pid: int | str = "self") -> int:
    """Returns the resident memory of a process; Linux only."""
    found = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


class Constant:
    """An engine whose network takes no time and always finds the same objects, so that only our own code is measured."""

    def submit(self, image: LoadedImage, spec: ModelSpec, *, visitor: str = "", keep: bool = True, **_: Any) -> Job:
        """Returns a finished job."""
        job = Job(spec, visitor)
        height, width = image.image.height, image.image.width
        box, label, score = np.array([[50, 50, 250, 400]], np.float32), np.array([1]), np.array([0.9], np.float32)
        found = Detections(box, label, score, (height, width), spec.categories)
        job.future.set_result(Result(found, Timings(), spec))
        return job

    def jobs_of_others(self, visitor: str) -> int:
        """Returns 0: there are no other jobs."""
        return 0


async def send_frames(engine: Engine, streams: LiveStreams, visitor: str, wanted: Callable[[int], bool]) -> int:
    """Acts as a visitor without a browser, who sends a frame after each response; returns the number of frames."""
    stream = streams.begin(visitor, get_model_spec(PERSON_MODEL))
    frames = [base64.b64encode(image).decode() for image in make_images()[::10]]
    for number in itertools.count():
        if not wanted(number):
            streams.remove(stream.token)
            return number
        sent = {"stream": stream.token, "id": number, "image": frames[number % len(frames)]}
        sent |= {"time": 1000 * time.perf_counter(), "threshold": 0.5}
        answer = await detect_in_frame(sent, engine, streams)
        while "status" in answer:
            answer = await detect_in_frame({"stream": stream.token, "id": number}, engine, streams)
        if "result" not in answer:
            raise RuntimeError(f"no result: {answer}")
    raise AssertionError


def measure_visitors(counts: list[int], seconds: float) -> str:
    """Measures the server alone: visitors without browsers, each with one frame in flight."""
    engine = LocalEngine()
    rows = []

    async def together(count: int) -> list[int]:
        until = time.perf_counter() + seconds
        streams = LiveStreams(most=12)
        return await asyncio.gather(
            *(send_frames(engine, streams, f"visitor {who}", lambda _: time.perf_counter() < until) for who in range(count))
        )

    asyncio.run(together(1))
    for count in counts:
        rates = [answers / seconds for answers in asyncio.run(together(count))]
        each = ", ".join(f"{rate:.1f}" for rate in sorted(rates, reverse=True))
        rows.append([str(count), each, f"{sum(rates):.1f}"])
    engine.close()
    return markdown_table(["visitors without browsers", "detections a second, each", "together"], rows)


def measure_memory(frames: int) -> str:
    """Measures the server's memory after a tenth of the frames and after all, with a network that takes no time."""
    held = []
    streams = LiveStreams(most=12)
    for share in (0.1, 0.9):
        asyncio.run(send_frames(Constant(), streams, "visitor", lambda number, last=int(share * frames): number < last))  # type: ignore[arg-type, misc]
        gc.collect()
        held.append(resident_bytes() / 2**20)
    return f"{frames:,} frames with a network that takes no time: {held[0]:.0f} MB after a tenth, {held[1]:.0f} MB after all."
