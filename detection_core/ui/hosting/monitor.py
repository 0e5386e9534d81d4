"""Everything that watches one server: its engine with a meter, and the addresses at which other machines check it."""

from __future__ import annotations

from anyio import to_thread
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from detection_core.engine import Engine
from detection_core.ui.hosting.health import Health
from detection_core.ui.hosting.metered_engine import MeteredEngine
from detection_core.ui.hosting.metrics import Metrics

METRICS = "/metrics"


class Monitor:
    """Watches an engine.

    Attributes:
        metrics: What is counted.
        engine: The engine for the page: what it does is counted.

    Args:
        engine: Where detection runs.
    """

    def __init__(self, engine: Engine) -> None:
        self.metrics = Metrics(engine)
        self.engine: Engine = MeteredEngine(engine, self.metrics)
        # The checks themselves are not counted.
        self._health = Health(engine)

    def routes(self) -> list[Route]:
        """The routes `/healthz`, `/readyz` and `/metrics`."""
        return [*self._health.routes(), Route(METRICS, self._metrics, methods=["GET"])]

    async def _metrics(self, request: Request) -> Response:
        return Response(await to_thread.run_sync(self.metrics.text), media_type=CONTENT_TYPE_LATEST)
