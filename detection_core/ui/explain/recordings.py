"""The recordings of what happened inside models, kept for visitors who ask about them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detection_core.detections import Detections
from detection_core.detections.matching import iou_matrix
from detection_core.engine import Call, Engine
from detection_core.errors import UserError
from detection_core.explanation import Recorder, Recording
from detection_core.images.reading import LoadedImage
from detection_core.models.precision import Precision
from detection_core.models.spec import ModelSpec
from detection_core.ui.shared.session import KeptResult
from detection_core.ui.shared.visitor_store import VisitorStore

# Of all visitors together, each of up to 25 MB.
_KEPT = 32
# The object of a recording that overlaps one of the result less is another one.
_SAME_IOU = 0.5


class ExplanationExpiredError(UserError):
    """The recording is no longer kept."""

    def __init__(self) -> None:
        super().__init__("This explanation is no longer kept on the server. Leave Explain and open it again.")


@dataclass(frozen=True, eq=False)
class KeptRecording:
    """What a visitor asks about.

    Attributes:
        recording: What happened inside the model.
        result: The result that the visitor sees, of the model in the precision that they chose.
        spec: That model.
        visitor: The visitor's name in the engine.
    """

    recording: Recording
    result: KeptResult
    spec: ModelSpec
    visitor: str = ""
    own: NDArray[np.float32] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "own", self.recording.in_image(self.recording.candidates.boxes[self.recording.selection.kept]))

    def number_of(self, label: int, box: Any) -> int | None:
        """The recording's number of an object of a class with about this box; None if it has none."""
        same = np.flatnonzero(self.recording.detections.labels == label)
        overlaps = iou_matrix([box], self.own[same])[0]
        return int(same[overlaps.argmax()]) if len(same) and overlaps.max() >= _SAME_IOU else None

    def number_of_shown(self, index: int) -> int | None:
        """The recording's number of an object that the visitor sees; None if it has none."""
        shown: Detections = self.result.detections
        return self.number_of(int(shown.labels[index]), shown.boxes[index]) if 0 <= index < len(shown) else None


class Recordings(VisitorStore[KeptRecording]):
    """Recordings under tokens; each visitor has one."""

    def __init__(self) -> None:
        super().__init__(ExplanationExpiredError, _KEPT)

    def keep(self, recording: KeptRecording) -> str:
        """Keeps a recording in place of the visitor's last one; returns its token."""
        self.leave(recording.visitor)
        return self.put(recording, visitor=recording.visitor)


def begin_recording(engine: Engine, image: LoadedImage, spec: ModelSpec, visitor: str) -> Call:
    """Has the engine record what happens inside a model, in any precision, on an image; the call's result is a `Recording`.

    Raises:
        EngineBusyError: If too many images are waiting already.
    """
    return engine.call(Recorder(spec), image, spec.in_precision(Precision.STOCK), visitor=visitor)
