"""The command line: lists models, detects objects in files, compares and evaluates models, trains, and serves the page.

Exit status 0: success; 1: something failed, the rest is done; 2: wrong usage, and the message says why;
130: interrupted, finished results are written.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from typing import Any

from detection_core.cli.common import escape_unsupported_characters, print_json, print_table, say, use_models_folder
from detection_core.cli.compare import add_compare
from detection_core.cli.detect import add_detect
from detection_core.cli.evaluate import add_evaluate
from detection_core.cli.explain import add_explain
from detection_core.cli.serve import add_serve
from detection_core.cli.train import add_train
from detection_core.errors import UserError
from detection_core.process import configure_process

_INTERRUPTED = 130  # 128 + SIGINT, as in shells.


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: Arguments without the program's name; None uses those of the process.

    Returns:
        The exit status.
    """
    escape_unsupported_characters()
    return run(_parser().parse_args(argv))


def run(args: argparse.Namespace) -> int:
    """Runs a parsed command, reports errors, and returns the exit status."""
    logging.basicConfig(level=logging.ERROR, format="%(message)s")
    configure_process()
    try:
        status: int = args.command(args)
    except UserError as error:
        say(str(error))
        return 2
    except KeyboardInterrupt:
        say("Interrupted.")
        return _INTERRUPTED
    except BrokenPipeError:  # The reader of the results has ended, as `head` does; Python must not flush stdout again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m detection_core", description="Explore torchvision's detection models.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    models = commands.add_parser("models", help="list all models")
    models.add_argument("--format", choices=["table", "json"], default="table")
    models.add_argument("--models", metavar="DIR", help="folder with your own models; default: models, if it exists")
    models.set_defaults(command=_models)
    add_detect(commands)
    add_compare(commands)
    add_evaluate(commands)
    add_explain(commands)
    add_train(commands)
    add_serve(commands)
    return parser


def _models(args: argparse.Namespace) -> int:
    use_models_folder(args.models)
    from detection_core.models.catalog import list_specs, rejected_files
    from detection_core.models.weights import find_weights

    rows = [{**spec.facts(), "on_disk": find_weights(spec) is not None} for spec in list_specs()]
    for rejected in rejected_files():
        say(f"Not usable: {rejected.file_name}: {rejected.reason}")
    if args.format == "json":
        print_json(rows)
        return 0
    columns = {"key": "MODEL", "tasks": "TASKS", "box_map": "BOX AP", "mask_map": "MASK AP", "kp_map": "KEYPOINT AP", "gflops": "GFLOPS"}
    columns |= {"params": "PARAMS", "file_size_mib": "MIB", "on_disk": "ON DISK", "default_threshold": "THRESHOLD"}
    table = [list(columns.values()), *([_cell((row | row["metrics"]).get(name)) for name in columns] for row in rows)]
    print_table(table)
    return 0


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) if isinstance(value, list) else str(value)
