"""Detection Explorer: the page, as `python -m detection_core serve` serves it. Also the entry point of a Hugging Face Space."""

from __future__ import annotations

import argparse
import sys

from detection_core.cli.common import escape_unsupported_characters
from detection_core.cli.main import run
from detection_core.cli.serve import DESCRIPTION, add_flags


def main() -> int:
    """Reads the flags and serves the page until interrupted; returns the exit status."""
    escape_unsupported_characters()
    parser = argparse.ArgumentParser(description=DESCRIPTION)
    add_flags(parser)
    return run(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
