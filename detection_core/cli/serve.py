"""The command `serve`, which is also `app.py`: serves the page as set by flags and environment."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from detection_core.cli.common import UsageError, add_precision, use_models_folder
from detection_core.models.precision import Precision, use_precision, usual_precision

if TYPE_CHECKING:
    from detection_core.engine import Engine, Result
    from detection_core.ui.shared.kept_images import KeptImages

DESCRIPTION = "Explore torchvision's detection models in a browser."


def add_serve(commands: Any) -> None:
    """Adds the command to a parser's commands."""
    add_flags(commands.add_parser("serve", help="serve the page", description=DESCRIPTION))


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags to a parser, and sets `serve` as its command."""
    # argparse parses string defaults like arguments, so an invalid value in the environment results in the same message.
    port = os.environ.get("GRADIO_SERVER_PORT", "7860")
    parser.add_argument("--host", default=os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1"), help="address to listen on; 0.0.0.0 for all")
    parser.add_argument("--port", type=_port, default=port, help="port to listen on; 0 for any free port")
    parser.add_argument("--device", default=os.environ.get("DETECTION_EXPLORER_DEVICE", "cpu"), help="cpu, cuda, cuda:1, mps")
    parser.add_argument("--models", metavar="DIR", help="folder with your own models; default: models, if it exists")
    add_precision(parser)
    keep_help = "folder where visitors may keep images for links to them; default: no images are kept"
    # The names with PICTURES are from before the first release.
    keep = os.environ.get("DETECTION_EXPLORER_KEEP_IMAGES") or os.environ.get("DETECTION_EXPLORER_KEEP_PICTURES")
    parser.add_argument("--keep-images", metavar="DIR", default=keep, help=keep_help)
    parser.add_argument("--keep-pictures", dest="keep_images", metavar="DIR", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    parser.add_argument("--share", action="store_true", help="also make a public gradio.live link")
    parser.set_defaults(command=serve)


def serve(args: argparse.Namespace) -> int:
    """Starts the engine, and serves the page until interrupted.

    Raises:
        UsageError: If a flag or an environment variable is invalid.
    """
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", force=True)
    # The page works without outside connections, and makes none.
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    # Before the page is served there is nothing to clean up: Ctrl-C ends the process at once, even during an import.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    host = args.host.strip("[]")
    port = _free_port(host, args.port)
    # URLs need IPv6 addresses in brackets, and so does Gradio.
    host = f"[{host}]" if ":" in host else host
    address = f"http://{'localhost' if host == '0.0.0.0' else host}:{port}"
    print(f"Detection Explorer is starting on {address}", flush=True)

    with _no_garbage_collection():
        keep = _settings(args)
        engine = _start_engine(args.device, args.precision)
        from detection_core.ui.app import build_app, launch_options
        from detection_core.ui.hosting.logs import set_up_logs
        from detection_core.ui.hosting.monitor import Monitor
        from detection_core.ui.shared.examples import warm_up

        set_up_logs()

        # Runs while the page is built. Started before Gradio's import, it would only delay that, because both need the interpreter.
        example = warm_up(engine)
        monitor = Monitor(engine)
        folder = _own_upload_folder()
        app = build_app(engine, keep=keep, monitor=monitor)
        options = launch_options(monitor)
        try:
            app.launch(server_name=host, server_port=port, share=args.share, quiet=True, prevent_thread_lock=True, **options)
        except OSError as error:
            raise UsageError(_cannot_listen(host, port)) from error
        # Again, because uvicorn has set up its own.
        set_up_logs()
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
        if folder is not None:
            folder.cleanup()
    return 0


def _own_upload_folder() -> tempfile.TemporaryDirectory[str] | None:
    """Makes a folder for visitors' files that only this server's user can read, unless the environment names one.

    By default, all Gradio apps of a machine share one, in which anybody may read.
    """
    if os.environ.get("GRADIO_TEMP_DIR"):
        return None
    folder = tempfile.TemporaryDirectory(prefix="detection-explorer-", ignore_cleanup_errors=True)
    os.environ["GRADIO_TEMP_DIR"] = folder.name
    return folder


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 65535")
    return number


def _free_port(host: str, port: int) -> int:
    """Returns the port, or any free one for 0. It is checked before the imports, which take seconds."""
    try:
        with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            return int(probe.getsockname()[1])
    except OSError as error:
        raise UsageError(_cannot_listen(host, port)) from error


def _cannot_listen(host: str, port: int) -> str:
    return f"Cannot listen on {host}:{port}. If the port is taken, choose another with --port."


def _settings(args: argparse.Namespace) -> KeptImages | None:
    """Checks flags and environment variables, and returns the store for kept images."""
    from detection_core.images.limits import ImageLimits
    from detection_core.ui.batch.store import most_images
    from detection_core.ui.shared.kept_images import KeptImages
    from detection_core.video.io import VideoLimits

    use_models_folder(args.models)
    ImageLimits.from_environment()
    VideoLimits.from_environment()
    most_images()
    try:
        return KeptImages(args.keep_images) if args.keep_images else None
    except OSError as error:
        raise UsageError(str(error)) from error


def _start_engine(device: str, precision: str | None) -> Engine:
    from detection_core.engine import LocalEngine
    from detection_core.models.optimized import sixteen_bits

    try:
        if precision is not None:
            use_precision(Precision(precision))
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
