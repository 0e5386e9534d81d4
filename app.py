"""Detection Explorer: flags and environment in, a served page out. Also the entry point of a Hugging Face Space."""

from __future__ import annotations

import argparse
import logging
import os


def main() -> None:
    """Reads the flags, starts the engine, and serves the page until interrupted."""
    parser = argparse.ArgumentParser(description="Explore torchvision's detection models in a browser.")
    parser.add_argument("--host", default=os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1"), help="address to listen on; 0.0.0.0 for all")
    parser.add_argument("--port", type=int, default=int(os.environ.get("GRADIO_SERVER_PORT", "7860")))
    parser.add_argument("--device", default=os.environ.get("DETECTION_EXPLORER_DEVICE", "cpu"), help="cpu, cuda, cuda:1, mps")
    parser.add_argument("--models", metavar="DIR", help="folder with your own models; default: models, where there is one")
    parser.add_argument("--precision", choices=["exact", "fast", "stock"], help="in which numbers models compute where nobody chooses")
    keep_help = "folder where visitors may keep pictures, so that links show them again; default: none are kept"
    parser.add_argument("--keep-pictures", metavar="DIR", default=os.environ.get("DETECTION_EXPLORER_KEEP_PICTURES"), help=keep_help)
    parser.add_argument("--share", action="store_true", help="also make a public gradio.live link")
    args = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    # The page works without any outside connection, and makes none.
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

    from detection_core.engine import LocalEngine
    from detection_core.fast import sixteen_bits
    from detection_core.images import ImageLimits
    from detection_core.precision import use_precision, usual_precision
    from detection_core.ui.app import build_app, launch_options
    from detection_core.ui.batches import most_pictures
    from detection_core.ui.examples import warm_up
    from detection_core.ui.kept_pictures import KeptPictures
    from detection_core.user_models import use_folder
    from detection_core.video import VideoLimits

    try:
        if args.models is not None:
            use_folder(args.models)
        ImageLimits.from_environment()
        VideoLimits.from_environment()
        most_pictures()
        keep = KeptPictures(args.keep_pictures) if args.keep_pictures else None
        if args.precision is not None:
            use_precision(args.precision)
        usual_precision()
        engine = LocalEngine(args.device)
        if args.precision == "fast" and sixteen_bits(engine.device) is None:
            raise ValueError(f"There is no fast precision here: {args.device} has no instructions for numbers of sixteen bits.")
    except (ValueError, RuntimeError, OSError) as error:
        parser.error(str(error))
    warm_up(engine)
    app = build_app(engine, keep=keep)
    try:
        app.launch(server_name=args.host, server_port=args.port, share=args.share, **launch_options())
    except OSError:
        parser.error(f"Cannot listen on {args.host}:{args.port}. If the port is taken, choose another with --port.")
    finally:
        engine.close()


if __name__ == "__main__":
    main()
