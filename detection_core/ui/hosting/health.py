"""Whether the server is alive, and whether a model answers, for supervisors and load balancers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import numpy as np
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from detection_core.engine import Engine, Job
from detection_core.errors import UserError
from detection_core.images.reading import read_image
from detection_core.models.catalog import COCO_MODEL, get_model_spec
from detection_core.models.model_key import usual_key

ALIVE = "/healthz"
READY = "/readyz"
# Seconds between two runs of a model, however often the route is requested, and the longest that a run may take.
_FRESH = 5.0
_PATIENCE = 10.0
_NOT_STORED = {"Cache-Control": "no-store"}


class Health:
    """Answers `/healthz` and `/readyz`.

    Args:
        engine: Where detection runs.
        patience: How long a model may take to answer, in seconds.
        clock: Gives the time in seconds; it never jumps.
    """

    def __init__(self, engine: Engine, patience: float = _PATIENCE, clock: Callable[[], float] = time.monotonic) -> None:
        self._engine = engine
        self._patience = patience
        self._clock = clock
        self._answered = float("-inf")
        self._probe: Job | None = None

    def routes(self) -> list[Route]:
        """The two routes."""
        return [Route(ALIVE, self._alive, methods=["GET"]), Route(READY, self._ready, methods=["GET"])]

    async def _alive(self, request: Request) -> Response:
        return PlainTextResponse("alive\n", headers=_NOT_STORED)

    async def _ready(self, request: Request) -> Response:
        reason = await self._why_not_ready()
        return PlainTextResponse(reason or "ready\n", 503 if reason else 200, headers=_NOT_STORED)

    async def _why_not_ready(self) -> str:
        """Why no model answers, or "": requests at the same time share one run."""
        if self._clock() - self._answered < _FRESH:
            return ""
        try:
            if self._probe is None:
                spec = get_model_spec(usual_key(COCO_MODEL, self._engine.model_states()))
                # Kept results would also be given by an engine that no longer runs anything.
                self._probe = self._engine.submit(read_image(np.zeros((64, 64, 3), np.uint8)), spec, visitor="readiness", keep=False)
            probe = self._probe
            await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(probe.future)), self._patience)
        except TimeoutError:
            # It goes on: the next request waits for the same run, so that runs never pile up.
            return "no model has answered in time\n"
        except (UserError, asyncio.CancelledError) as error:
            self._probe = None
            return f"{error or 'cancelled'}\n"
        self._probe = None
        self._answered = self._clock()
        return ""
