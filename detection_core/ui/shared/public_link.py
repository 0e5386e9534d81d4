"""Makes a public link to the page through Gradio's tunnel, or says what is missing for it."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
from gradio import networking, tunneling
from gradio.exceptions import ChecksumMismatchError, ShareCertificateWriteError

from detection_core.errors import UserError


class ShareError(UserError):
    """There is no public link; the message says what is missing."""


def share(app: gr.Blocks, *, offline: bool) -> str:
    """Makes a public link to a page that is served already, and returns it.

    Args:
        app: The page.
        offline: Whether the program for the tunnel must not be downloaded.

    Raises:
        ShareError: If something is missing for it.
    """
    program = Path(tunneling.BINARY_PATH)
    get_it = f"download {tunneling.BINARY_URL} to {program}"
    if offline and not program.exists():
        raise ShareError(f"There is no public link: Gradio's program for it, frpc, is not on this machine; {get_it}.")
    try:
        link = networking.setup_tunnel(app.server_name, app.server_port, app.share_token, app.share_server_address, None)
    except ChecksumMismatchError:
        program.unlink(missing_ok=True)
        raise ShareError(f"There is no public link: Gradio's program for it, frpc, arrived damaged; {get_it}.") from None
    except ShareCertificateWriteError:
        raise ShareError("There is no public link: its certificate cannot be written to .gradio in the current folder.") from None
    # The server or the program can be unreachable, refused by the system, or answer anything.
    except Exception as error:
        if not program.exists():
            raise ShareError(f"There is no public link: gradio.app cannot be reached, or frpc is missing; {get_it}.") from error
        raise ShareError("There is no public link: gradio.app cannot be reached. Check the connection to the internet.") from error
    # Pages name this address in their metadata.
    app.share, app.share_url = True, link.replace("http://", "https://", 1)
    return str(app.share_url)
