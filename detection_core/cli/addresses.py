"""The addresses at which other machines can open the page, in the network or by a public link, and their QR code."""

from __future__ import annotations

import io
import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from detection_core.errors import UserError
from detection_core.settings import Settings

if TYPE_CHECKING:
    import gradio as gr


class ShareError(UserError):
    """There is no public link; the message says what is missing."""


def network_address(settings: Settings, host: str, port: int) -> str | None:
    """Returns the address for other machines, or None if the page is only for this one.

    Args:
        settings: The settings.
        host: Where the page listens; an IPv6 address may be in brackets.
        port: Where the page listens.
    """
    host = host.strip("[]")
    if space := os.environ.get("SPACE_HOST"):
        return f"https://{space}"
    if settings.root_path.startswith("http"):
        return settings.root_path
    if host in ("0.0.0.0", "::"):
        own = _own_address()
        return f"http://{own}:{port}" if own else None
    if host in ("localhost", "::1") or host.startswith("127."):
        return None
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def share(app: gr.Blocks, *, offline: bool) -> str:
    """Makes a public link to a page that is served already, and returns it.

    Args:
        app: The page.
        offline: Whether the program for the tunnel must not be downloaded.

    Raises:
        ShareError: If something is missing for it.
    """
    from gradio import networking, tunneling
    from gradio.exceptions import ChecksumMismatchError, ShareCertificateWriteError

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


def qr_code(address: str) -> str:
    """Returns a QR code of an address as lines of text, for a terminal that shows its own colors or Unicode's blocks."""
    import segno

    code = segno.make(address, micro=False)
    text = io.StringIO()
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    # Half blocks, two rows of squares to a line, where the terminal has them; otherwise its escapes for colors.
    code.terminal(text, compact=encoding.lower().replace("-", "").startswith("utf"))
    return text.getvalue()


def _own_address() -> str | None:
    """This machine's address in its network; connecting a datagram socket sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # An address that is reserved for documentation.
        except OSError:
            return None
        return str(probe.getsockname()[0])
