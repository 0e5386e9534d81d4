"""What a request passes before it reaches the page, in order."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.middleware import Middleware

from detection_core.ui.hosting.auth import BasicAuth
from detection_core.ui.hosting.closed_routes import ClosedRoutes
from detection_core.ui.hosting.event_streams import EventStreams
from detection_core.ui.hosting.headers import SecurityHeaders
from detection_core.ui.hosting.monitor import Monitor
from detection_core.ui.hosting.origins import OriginCheck
from detection_core.ui.hosting.requests import RequestRecorder
from detection_core.ui.shared.limits import BodyLimit


def middleware(
    monitor: Monitor | None,
    largest_file: int,
    *,
    auth: Sequence[tuple[str, str]] = (),
    allowed_origins: Sequence[str] = (),
    frame_ancestors: Sequence[str] = (),
) -> list[Middleware]:
    """The middleware around the page, from the outside in.

    Args:
        monitor: Counts responses; None counts none.
        largest_file: Size of the largest upload accepted, in bytes.
        auth: Names and passwords that all routes but `/healthz` ask for; without any, all are open.
        allowed_origins: Other sites whose scripts may use the server.
        frame_ancestors: Other sites that may embed the page.
    """
    return [
        Middleware(RequestRecorder, metrics=monitor.metrics if monitor else None),
        Middleware(SecurityHeaders, embedded_by=frame_ancestors),
        Middleware(OriginCheck, allowed=allowed_origins),
        *([Middleware(BasicAuth, auth=auth)] if auth else []),
        Middleware(ClosedRoutes),
        Middleware(BodyLimit, largest_file=largest_file),
        Middleware(EventStreams),
    ]
