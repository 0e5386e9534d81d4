"""The command `serve`, which is also `app.py`: serves the page as set by flags and environment."""

from __future__ import annotations

import argparse
import atexit
import gc
import logging
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from detection_core.cli.addresses import network_address, qr_code
from detection_core.cli.common import UsageError, say
from detection_core.models.precision import Precision, usual_precision
from detection_core.settings import Settings, add_setting_flags, export_flags, read_settings

if TYPE_CHECKING:
    import gradio as gr

    from detection_core.engine import Engine, Result
    from detection_core.ui.shared.kept_images import KeptImages

DESCRIPTION = "Explore torchvision's detection models in a browser."
# Seconds from the signal to the end of the process; containers and systemd kill after ten or more.
_LONGEST_END = 8
# How much of it images in progress get, and how long after the last of them its response may take.
_LONGEST_WORK, _RESPONSE = 4.0, 0.3
# Seconds without a request after which a connection is closed. uvicorn's five are also when clients give theirs up (httpx, and others
# sooner); where both do so at the same time, a request is lost on its way.
_KEEP_ALIVE = 20


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
        SettingsError: If a flag or an environment variable is invalid, or a package for it is missing.
        UsageError: If the page cannot be served with these settings on this machine.
    """
    settings = read_settings(export_flags(args))
    if settings.mcp:
        from detection_core.ui.mcp.package import require_mcp

        # Now, rather than after the imports, which take seconds.
        require_mcp()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", force=True)
    # The page works without outside connections, and makes none.
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    # Gradio gets these as arguments. If it finds them when it is imported, it checks whether the port is free with IPv4 alone.
    for variable in ("GRADIO_SERVER_NAME", "GRADIO_SERVER_PORT"):
        os.environ.pop(variable, None)
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
        engine = _start_engine(settings.device) if settings.engine == "local" else _join_cluster(settings)
        from detection_core.ui.app import build_app, launch_options
        from detection_core.ui.hosting.logs import set_up_logs
        from detection_core.ui.hosting.monitor import Monitor
        from detection_core.ui.shared.examples import warm_up

        set_up_logs(settings.log_format)

        # Runs while the page is built. Started before Gradio's import, it would only delay that, because both need the interpreter.
        example = warm_up(engine)
        monitor = Monitor(engine)
        folder = _own_upload_folder()
        app = build_app(engine, keep=keep, monitor=monitor, settings=settings)
        try:
            where = {"server_name": host, "server_port": port, "root_path": settings.root_path or None, "share": False}
            app.launch(**where, quiet=True, prevent_thread_lock=True, **launch_options(monitor, settings))
        except OSError as error:
            raise UsageError(_cannot_listen(host, port)) from error
        app.server.config.timeout_keep_alive = _KEEP_ALIVE
        # Again, because uvicorn has set up its own.
        set_up_logs(settings.log_format)
    print(f"The page is ready: {address} (press Ctrl-C to stop)", flush=True)
    example.future.add_done_callback(_report_warm_up)
    _announce(app, settings, host, port)
    was_interrupted = _wait_for_interruption()
    # A second signal ends the process at once.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    print("Ending.", flush=True)
    is_done = _let_work_finish(engine)
    app.close(verbose=False)
    engine.close()
    if folder is not None:
        folder.cleanup()
    if was_interrupted:
        _leave(is_done)
    return 0


def _announce(app: gr.Blocks, settings: Settings, host: str, port: int) -> None:
    """Prints the address for other machines, as a link and as a QR code if that is wanted."""
    from detection_core.ui.shared.public_link import ShareError, share

    address = network_address(settings, host, port)
    if settings.share:
        try:
            address = share(app, offline=settings.offline)
        except ShareError as error:
            say(str(error))
    if address:
        print(f"For other machines: {address}", flush=True)
    elif settings.qr:
        say("The page can only be opened on this machine. Add --host 0.0.0.0 for others in its network, or --share for all.")
    if settings.qr and address:
        print(qr_code(address), flush=True)


def _own_upload_folder() -> tempfile.TemporaryDirectory[str] | None:
    """Makes a folder for visitors' files that only this server's user can read, unless the environment names one.

    By default, all Gradio apps of a machine share one, which every user of the machine can read.
    """
    if os.environ.get("GRADIO_TEMP_DIR"):
        return None
    folder = tempfile.TemporaryDirectory(prefix="detection-explorer-", ignore_cleanup_errors=True)
    os.environ["GRADIO_TEMP_DIR"] = folder.name
    return folder


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


def _join_cluster(settings: Settings) -> Engine:
    """Starts the engine on a Ray cluster; each detector has a GPU, or two cores.

    Raises:
        RayMissingError: If Ray is not installed.
        UsageError: If a Ray detector cannot use the device.
    """
    from detection_core.engine.ray import DetectorSettings, RayEngine

    if settings.device not in ("cpu", "cuda"):
        raise UsageError(f"Detectors on a Ray cluster run on cpu or cuda, not on {settings.device}.")
    return RayEngine(settings.ray_address, DetectorSettings(max_replicas=settings.workers, gpus=float(settings.device == "cuda")))


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


def _wait_for_interruption() -> bool:
    """Waits for Ctrl-C or SIGTERM. From then on, the process ends within some seconds."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        deadline = threading.Timer(_LONGEST_END, _leave, (False,))
        deadline.daemon = True
        deadline.start()
        return True


def _let_work_finish(engine: Engine) -> bool:
    """Waits until no visitor's image has been in progress for a moment, in which its response is sent, but not for long."""
    end = time.monotonic() + _LONGEST_WORK
    quiet_since = time.monotonic()
    while (now := time.monotonic()) - quiet_since < _RESPONSE:
        if now > end:
            return False
        time.sleep(0.02)
        if engine.jobs_of_others(""):
            quiet_since = time.monotonic()
    return True


def _leave(is_done: bool) -> None:
    """Ends the process, even in the middle of a model's run, in which Python's own end would abort.

    Files are complete, or have another name while they are written.
    """
    if not is_done:
        print("Stopped what was still in progress.", flush=True)
    atexit._run_exitfuncs()
    sys.stdout.flush()
    os._exit(0)
