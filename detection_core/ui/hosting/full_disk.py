"""What a visitor is told whose upload finds the server's disk full."""

from __future__ import annotations

import errno

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

_FULL = (errno.ENOSPC, errno.EDQUOT)
_MESSAGE = "The server's disk is full. Files of earlier visitors are deleted after a while: try again later."


async def answer_full_disk(request: Request, error: Exception) -> Response:
    """An exception handler for `OSError`: responds with 507 if the disk is full; any other error is a defect and stays one."""
    if isinstance(error, OSError) and error.errno in _FULL:
        return PlainTextResponse(_MESSAGE, 507)
    raise error
