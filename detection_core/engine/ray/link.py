"""The page's end of the connection to the gateway, which is started again whenever it has ended."""

from __future__ import annotations

import logging
import multiprocessing
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from detection_core.engine.ray.installed import require_ray
from detection_core.engine.ray.messages import Cancel, ClusterState, Lost, Submit, Update
from detection_core.engine.ray.settings import DetectorSettings

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

logger = logging.getLogger(__name__)

_PAUSE_SECONDS = 3.0
_END_SECONDS = 10.0
# A gateway reports every second once it is connected; Ray itself would wait for minutes for an address that nothing listens on.
_SILENCE_SECONDS = 120.0


class ClusterLink:
    """Keeps a gateway to a cluster running, and passes messages.

    Args:
        address: An address for `ray.init`, or "" to start a cluster on this machine.
        detectors: The detectors to start, unless the cluster runs them already.
        on_message: Called in a thread of its own with each message of the gateway; the last of each gateway is `Lost`.
    """

    def __init__(self, address: str, detectors: DetectorSettings, on_message: Callable[[Update | ClusterState | Lost], None]) -> None:
        require_ray()
        self._address = address
        self._detectors = detectors
        self._on_message = on_message
        self._sending = threading.Lock()
        self._connection: Connection | None = None
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="cluster", daemon=True)

    def start(self) -> None:
        """Starts the first gateway; returns at once."""
        self._thread.start()

    def send(self, message: Submit | Cancel) -> None:
        """Sends a message; without a gateway it is dropped, after `Lost` has said so."""
        with self._sending:
            if self._connection is not None:
                with suppress(OSError):
                    self._connection.send(message)

    def close(self) -> None:
        """Ends the gateway, and with it a cluster that it has started."""
        self._closed.set()
        with self._sending:
            if self._connection is not None:
                # The gateway sees the end of the connection; this process's reader does, when the gateway has ended.
                with suppress(OSError):
                    self._connection.send(None)
        self._thread.join(_END_SECONDS)

    def _run(self) -> None:
        # A process of its own interpreter: this one has threads.
        context = multiprocessing.get_context("spawn")
        while not self._closed.is_set():
            ours, theirs = context.Pipe()
            process = context.Process(target=_gateway, args=(theirs, self._address, self._detectors), name="gateway")
            process.start()
            theirs.close()
            with self._sending:
                self._connection = ours
            reason = self._read(ours)
            with self._sending:
                self._connection = None
                ours.close()
            process.join(_END_SECONDS if self._closed.is_set() else 0)
            process.kill()
            if not self._closed.is_set():
                logger.warning("The cluster is lost: %s", reason)
                self._on_message(Lost(reason))
            self._closed.wait(_PAUSE_SECONDS)

    def _read(self, connection: Connection) -> str:
        """Passes on messages until the gateway ends; returns why it did."""
        while True:
            try:
                if not connection.poll(_SILENCE_SECONDS):
                    return "nothing answers there"
                message = connection.recv()
            except (EOFError, OSError):
                return "the connection to it has ended"
            if isinstance(message, Lost):
                return message.reason
            self._on_message(message)


def _gateway(connection: Connection, address: str, detectors: DetectorSettings) -> None:
    # Whoever presses Ctrl-C means the page, which then closes the connection.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    from detection_core.engine.ray.gateway import run_gateway

    run_gateway(connection, address, detectors)
