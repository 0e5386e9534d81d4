"""The command `serve`, which is also `app.py`: serves the page as set by flags and environment."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from detection_core.cli.common import UsageError
from detection_core.models.precision import Precision, usual_precision
from detection_core.settings import Settings, add_setting_flags, export_flags, read_settings

if TYPE_CHECKING:
    from detection_core.engine import Engine, Result
    from detection_core.ui.shared.kept_images import KeptImages

DESCRIPTION = "Explore torchvision's detection models in a browser."


def add_serve(commands: Any) -> None:
    """Adds the command to a parser's commands."""
    add_flags(commands.add_parser("serve", help="serve the page", description=DESCRIPTION))


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags to a parser, and sets `serve` as its command."""
    add_setting_flags(parser)
    parser.set_defaults(command=serve)


def serve(args: argparse.Namespace) -> int:
    """Starts the engine, and serves the page until interrupted.

    Raises:
        SettingsError: If a flag or an environment variable is invalid.
        UsageError: If the page cannot be served with these settings on this machine.
    """
    settings = read_settings(export_flags(args))
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", force=True)
    # The page works without outside connections, and makes none.
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    # Before the page is served there is nothing to clean up: Ctrl-C ends the process at once, even during an import.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    host = settings.host.strip("[]")
    port = _free_port(host, settings.port)
    # URLs need IPv6 addresses in brackets, and so does Gradio.
    host = f"[{host}]" if ":" in host else host
    address = f"http://{'localhost' if host == '0.0.0.0' else host}:{port}"
    print(f"Detection Explorer is starting on {address}", flush=True)

    with _no_garbage_collection():
        keep = _kept_images(settings)
        engine = _start_engine(settings.device)
        from detection_core.ui.app import build_app, launch_options
        from detection_core.ui.shared.examples import warm_up

        # Runs while the page is built. Started before Gradio's import, it would only delay that, because both need the interpreter.
        example = warm_up(engine)
        app = build_app(engine, keep=keep, settings=settings)
        try:
            where = {"server_name": host, "server_port": port, "root_path": settings.root_path or None, "share": settings.share}
            app.launch(**where, quiet=True, prevent_thread_lock=True, **launch_options(settings))
        except OSError as error:
            raise UsageError(_cannot_listen(host, port)) from error
    print(f"The page is ready: {address} (press Ctrl-C to stop)", flush=True)
    example.future.add_done_callback(_report_warm_up)
    try:
        _wait_for_interruption()
    finally:
        # Closing waits for open pages; a second Ctrl-C ends the process at once.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        print("Ending.", flush=True)
        app.close(verbose=False)
        engine.close()
    return 0


def _free_port(host: str, port: int) -> int:
    """Returns the port, or any free one for 0. It is checked before the imports, which take seconds."""
    try:
        with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            return int(probe.getsockname()[1])
    except OSError as error:
        raise UsageError(_cannot_listen(host, port)) from error


def _cannot_listen(host: str, port: int) -> str:
    return f"Cannot listen on {host}:{port}. If the port is taken, choose another with --port."


def _kept_images(settings: Settings) -> KeptImages | None:
    from detection_core.ui.shared.kept_images import KeptImages

    try:
        return KeptImages(settings.keep_images) if settings.keep_images else None
    except OSError as error:
        raise UsageError(f"The folder for kept images cannot be made: {error}.") from error


def _start_engine(device: str) -> Engine:
    from detection_core.engine import LocalEngine
    from detection_core.models.optimized import sixteen_bits

    try:
        engine = LocalEngine(device)
        if usual_precision() is Precision.FAST and sixteen_bits(engine.device) is None:
            raise UsageError(f"Fast precision is not available: {device} has no instructions for 16-bit numbers.")
        return engine
    except RuntimeError as error:  # torch, of a device that there is not.
        raise UsageError(str(error)) from error


def _report_warm_up(example: Future[Result]) -> None:
    """Reports whether the first example succeeded, unless the server was stopped before."""
    if not example.cancelled():
        error = example.exception()
        print("The model is warm." if error is None else f"The model that the page opens with cannot be used: {error}", flush=True)


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Turns off garbage collection for objects that stay: searching them, now and later, takes time and finds none."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _wait_for_interruption() -> None:
    """Waits for Ctrl-C or SIGTERM."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        return
