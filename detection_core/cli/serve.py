"""The command `serve`, which `app.py` is too: flags and environment in, a served page out."""

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
    """Gives a parser the flags, and `serve` as its command."""
    # Defaults that are text are read as if they had been typed, so that a wrong one in the environment is a message too.
    port = os.environ.get("GRADIO_SERVER_PORT", "7860")
    parser.add_argument("--host", default=os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1"), help="address to listen on; 0.0.0.0 for all")
    parser.add_argument("--port", type=_port, default=port, help="port to listen on; 0 for any that is free")
    parser.add_argument("--device", default=os.environ.get("DETECTION_EXPLORER_DEVICE", "cpu"), help="cpu, cuda, cuda:1, mps")
    parser.add_argument("--models", metavar="DIR", help="folder with your own models; default: models, where there is one")
    add_precision(parser)
    keep_help = "folder where visitors may keep images, so that links show them again; default: none are kept"
    # The names with PICTURES are those of before the first release.
    keep = os.environ.get("DETECTION_EXPLORER_KEEP_IMAGES") or os.environ.get("DETECTION_EXPLORER_KEEP_PICTURES")
    parser.add_argument("--keep-images", metavar="DIR", default=keep, help=keep_help)
    parser.add_argument("--keep-pictures", dest="keep_images", metavar="DIR", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    parser.add_argument("--share", action="store_true", help="also make a public gradio.live link")
    parser.set_defaults(command=serve)


def serve(args: argparse.Namespace) -> int:
    """Starts the engine, and serves the page until interrupted.

    Raises:
        UsageError: If it cannot be as the flags or the environment say.
    """
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", force=True)
    # The page works without any outside connection, and makes none.
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    # Before the page is served there is nothing to tidy up: Ctrl-C ends the process at once, in the midst of an import too.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    host = args.host.strip("[]")
    port = _free_port(host, args.port)
    # Addresses want IPv6 in brackets, and so does Gradio.
    host = f"[{host}]" if ":" in host else host
    address = f"http://{'localhost' if host == '0.0.0.0' else host}:{port}"
    print(f"Detection Explorer is starting on {address}", flush=True)

    with _no_garbage_collection():
        keep = _settings(args)
        engine = _start_engine(args.device, args.precision)
        from detection_core.ui.app import build_app, launch_options
        from detection_core.ui.shared.examples import warm_up

        # While the page is built. Begun before Gradio's import it would be ready no sooner, as both need the interpreter, and delay it.
        example = warm_up(engine)
        app = build_app(engine, keep=keep)
        try:
            app.launch(server_name=host, server_port=port, share=args.share, quiet=True, prevent_thread_lock=True, **launch_options())
        except OSError as error:
            raise UsageError(_cannot_listen(host, port)) from error
    print(f"The page is ready: {address} (Ctrl-C ends it)", flush=True)
    example.future.add_done_callback(_tell)
    try:
        _wait_for_interruption()
    finally:
        # Open pages would be waited for; whoever presses Ctrl-C twice does not wait for anything.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        print("Ending.", flush=True)
        app.close(verbose=False)
        engine.close()
    return 0


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 65535")
    return number


def _free_port(host: str, port: int) -> int:
    """The port, or any free one for 0. Asked before the imports, which take seconds."""
    try:
        with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            return int(probe.getsockname()[1])
    except OSError as error:
        raise UsageError(_cannot_listen(host, port)) from error


def _cannot_listen(host: str, port: int) -> str:
    return f"Cannot listen on {host}:{port}. If the port is taken, choose another with --port."


def _settings(args: argparse.Namespace) -> KeptImages | None:
    """Checks what flags and environment say; gives where images are kept."""
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
            raise UsageError(f"There is no fast precision here: {device} has no instructions for numbers of sixteen bits.")
        return engine
    except RuntimeError as error:  # torch, of a device that there is not.
        raise UsageError(str(error)) from error


def _tell(example: Future[Result]) -> None:
    """Says how the first example went, unless the server ended before."""
    if not example.cancelled():
        error = example.exception()
        print("The model is warm." if error is None else f"The model that the page opens with cannot be used: {error}", flush=True)


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """What is made meanwhile stays: looking through it for garbage, now and ever after, takes time and finds none."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _wait_for_interruption() -> None:
    """Returns on Ctrl-C, and when the process is told to end."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        return
