"""What models cost on this machine: one image is run through each of them in turns, and the medians are taken."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from detection_core.engine.base import Engine, Job, Result
from detection_core.images.reading import LoadedImage
from detection_core.models.spec import ModelSpec


@dataclass(frozen=True)
class Measurement:
    """What a model took for one image.

    Attributes:
        median: Seconds from pixels to results.
        low: The shortest of the runs.
        high: The longest of them.
        runs: How many there were.
        parts: Median seconds of each step by its name; they need not add up to the median of the whole.
        memory: Bytes that weights and the largest run took together, or None if it is unknown.
    """

    median: float
    low: float
    high: float
    runs: int
    parts: dict[str, float]
    memory: int | None


def summarize(results: Sequence[Result]) -> Measurement | None:
    """The medians of a model's runs, without those that were its first since it was loaded or that did not run at all.

    Returns:
        None if no run is left.
    """
    warm = [result for result in results if not result.first_run and not result.kept]
    if not warm:
        return None
    parts = {
        "network": [result.timings.network for result in warm],
        "results": [result.timings.post for result in warm],
    }
    whole = [result.timings.network + result.timings.post for result in warm]
    memory = [result.memory for result in warm if result.memory is not None]
    return Measurement(
        median=statistics.median(whole),
        low=min(whole),
        high=max(whole),
        runs=len(warm),
        parts={name: statistics.median(seconds) for name, seconds in parts.items()},
        memory=max(memory, default=None),
    )


def take_turns(
    engine: Engine, image: LoadedImage, models: Sequence[ModelSpec], *, rounds: int, visitor: str = ""
) -> Iterator[tuple[ModelSpec, Job]]:
    """Runs models on one image in turns, so that a slow minute of the machine affects all of them.

    Each job is handed out when it is submitted; the next begins when it is asked for, so wait for the one before. A run that was a
    model's first since it was loaded is not counted by `summarize`.

    Args:
        engine: Where they run.
        image: The image.
        models: The models.
        rounds: How often each runs.
        visitor: The visitor who waits.

    Raises:
        EngineBusyError: If too many images are waiting already.
    """
    for _ in range(rounds):
        for spec in models:
            yield spec, engine.submit(image, spec, visitor=visitor, measure=True)
