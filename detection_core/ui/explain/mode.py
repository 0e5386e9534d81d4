"""The server's side of the mode Explain: it records a run of the model when the visitor enters, and then answers questions about it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from typing import Any

from anyio import to_thread

from detection_core.engine import Engine, JobState, Stage
from detection_core.errors import UserError
from detection_core.models.catalog import get_model_spec
from detection_core.ui.components.client_values import mapping_of
from detection_core.ui.components.messages import ViewMessage
from detection_core.ui.explain.questions import Response, answer, ask, begin_values, show_stage, shown_object, try_settings
from detection_core.ui.explain.recordings import ExplanationExpiredError, KeptRecording, Recordings, begin_recording
from detection_core.ui.explain.saliency import MASKS, SaliencyRuns
from detection_core.ui.shared.progress import status_of
from detection_core.ui.shared.session import KeptResult
from detection_core.ui.shared.uploads import read_upload

_POLL_SECONDS = 0.5
# Ends the token of a slice's recording, after that of the whole image's.
_OF_SLICE = ".slice"

ServerFunction = Callable[[Any], Coroutine[Any, Any, Any]]


class ExplainMode:
    """Records, keeps and answers.

    Args:
        engine: Where models run.

    Attributes:
        recordings: Where recordings are kept.
        saliency: The saliency maps that are computed.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.recordings = Recordings()
        self.saliency = SaliencyRuns(engine, self.recordings)

    def begin(self, result: KeptResult, visitor: str, is_wanted: Callable[[], bool]) -> Iterator[ViewMessage]:
        """Records the run that gave a result, and yields the status while it waits, then the message that opens the mode.

        Args:
            result: The result that the visitor sees.
            visitor: The visitor's name in the engine.
            is_wanted: Whether the visitor still waits for it.

        Raises:
            Cancelled: If the visitor does not.
            UserError: If the image or the model is no longer there, or the run fails.
        """
        spec = get_model_spec(result.detections.model)
        call = begin_recording(self._engine, read_upload(result.image_path), spec, visitor)
        seen = JobState(Stage.LOAD)
        while not call.future.done():
            if not is_wanted():
                call.cancel()
            yield ViewMessage(status=status_of(seen, spec.title))
            seen = call.wait_for_change(seen, _POLL_SECONDS)
        kept = KeptRecording(call.result(), result, spec, visitor)
        token = self.recordings.keep(kept)
        yield ViewMessage(explain=_opening(kept, token))

    async def open_slice(self, sent: object) -> Response:
        """Records the slice that shows object `object` of those that the visitor sees, and returns what opens the mode for it."""
        request = mapping_of(sent)
        whole = self.recordings.get(request.get("recording"))
        if whole is None:
            return {"error": str(ExplanationExpiredError()), "expired": True}
        try:
            target = shown_object(whole, request)
            image = await to_thread.run_sync(read_upload, whole.result.image_path)
            recording = await asyncio.wrap_future(begin_recording(self._engine, image, whole.spec, whole.visitor, target).future)
        except (UserError, asyncio.CancelledError) as error:
            return {"error": str(error) or "Cancelled."}
        kept = replace(whole, recording=recording)
        # Beside the whole image's, to which the visitor goes back; in place of the last slice's.
        token = f"{str(request['recording']).removesuffix(_OF_SLICE)}{_OF_SLICE}"
        self.recordings.put(kept, token=token, visitor=whole.visitor)
        return _opening(kept, token)

    def leave(self, visitor: str) -> None:
        """Forgets what is kept for a visitor who has gone."""
        self.saliency.leave(visitor)
        self.recordings.leave(visitor)

    def server_functions(self) -> list[ServerFunction]:
        """The functions through which the browser asks."""

        async def explain_ask(sent: Any) -> Response:
            return await answer(sent, self.recordings, ask)

        async def explain_settings(sent: Any) -> Response:
            return await answer(sent, self.recordings, try_settings)

        async def explain_stage(sent: Any) -> Response:
            return await answer(sent, self.recordings, show_stage)

        async def explain_slice(sent: Any) -> Response:
            return await self.open_slice(sent)

        async def saliency_cost(sent: Any) -> Response:
            return await self.saliency.cost(sent)

        async def saliency_quick(sent: Any) -> Response:
            return await self.saliency.quick(sent)

        async def saliency_begin(sent: Any) -> Response:
            return await self.saliency.begin(sent)

        async def saliency_watch(sent: Any) -> Response:
            return await self.saliency.watch(sent)

        async def saliency_stop(sent: Any) -> Response:
            return await self.saliency.stop(sent)

        saliency = [saliency_cost, saliency_quick, saliency_begin, saliency_watch, saliency_stop]
        return [explain_ask, explain_settings, explain_stage, explain_slice, *saliency]


def _opening(kept: KeptRecording, token: str) -> Response:
    return begin_values(kept) | {"recording": token, "masks": MASKS}
