"""The recordings of what happened inside models, kept for visitors who ask about them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from detection_core.engine import Call, Engine
from detection_core.errors import UserError
from detection_core.explanation import FoundObject, Recorder, Recording, SliceRecorder
from detection_core.images.reading import LoadedImage
from detection_core.models.precision import Precision
from detection_core.models.spec import ModelSpec
from detection_core.ui.shared.session import KeptResult
from detection_core.ui.shared.visitor_store import VisitorStore

# Of all visitors together, of up to 20 MB each, but for large input sizes.
_KEPT = 32


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


class Recordings(VisitorStore[KeptRecording]):
    """Recordings under tokens; each visitor has one."""

    def __init__(self) -> None:
        super().__init__(ExplanationExpiredError, _KEPT)

    def keep(self, recording: KeptRecording) -> str:
        """Keeps a recording in place of the visitor's last one; returns its token."""
        self.leave(recording.visitor)
        return self.put(recording, visitor=recording.visitor)


def begin_recording(engine: Engine, image: LoadedImage, spec: ModelSpec, visitor: str, in_slice: FoundObject | None = None) -> Call:
    """Has the engine record what happens inside a model, in any precision; the call's result is a `Recording`.

    Args:
        engine: Where the model runs.
        image: The image.
        spec: The model.
        visitor: The visitor's name in the engine.
        in_slice: An object, to record the slice of the image that shows it; None records the whole image.

    Raises:
        EngineBusyError: If too many images are waiting already.
    """
    recorder = Recorder(spec) if in_slice is None else SliceRecorder(spec, in_slice)
    return engine.call(recorder, image, spec.in_precision(Precision.STOCK), visitor=visitor)
