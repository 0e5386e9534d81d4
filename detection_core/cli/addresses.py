"""The addresses at which other machines can open the page, and their QR code."""

from __future__ import annotations

import io
import os
import socket
import sys

from detection_core.settings import Settings


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
