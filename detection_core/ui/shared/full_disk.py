"""The response to an upload that does not fit on the server's disk."""

from __future__ import annotations

import errno

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

FULL_DISK = "The server's disk is full. Files of earlier visitors are deleted after a while: try again later."


def is_full_disk(error: Exception) -> bool:
    """Whether an error says that there is no room on the disk."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


async def answer_full_disk(request: Request, error: Exception) -> Response:
    """An exception handler for `OSError`: responds with 507 if the disk is full; any other error is a defect and stays one."""
    if is_full_disk(error):
        return PlainTextResponse(FULL_DISK, 507)
    raise error
