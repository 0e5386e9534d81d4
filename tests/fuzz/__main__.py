"""Fuzzes the readers for a while and prints what came of it: `python -m tests.fuzz --seconds 60 --only images,coco --out finds`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.fuzz.readers import READERS, reader_of
from tests.fuzz.runner import fuzz, save
from tests.fuzz.worker import outcome_of


def main() -> int:
    """Runs the command line; returns 1 if anything has failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="for each reader (default: 60)")
    parser.add_argument("--most", type=int, help="inputs for each reader at most")
    parser.add_argument("--only", default=",".join(READERS), help=f"readers, of {', '.join(READERS)}")
    parser.add_argument("--out", type=Path, default=Path("fuzz"), help="folder for the inputs that fail (default: fuzz)")
    parser.add_argument("--seed", type=int, default=0, help="another one gives other inputs")
    parser.add_argument("--patience", type=float, default=20, help="seconds after which an input counts as one that hangs (default: 20)")
    parser.add_argument("--megabytes", type=int, default=1500, help="memory that an input may take (default: 1500)")
    parser.add_argument("--replay", type=Path, help="read this one file with the reader of --only, and print what comes of it")
    args = parser.parse_args()
    names = args.only.split(",")
    if unknown := set(names) - set(READERS):
        parser.error(f"there is no reader {', '.join(sorted(unknown))}")
    if args.replay:
        with tempfile.TemporaryDirectory() as place:
            reader_of(names[0]).seeds(Path(place))
            for key, value in outcome_of(reader_of(names[0]), args.replay.read_bytes(), Path(place)).items():
                print(f"{key}: {value}")
        return 0
    print(f"{'reader':12} {'tried':>8} {'accepted':>8} {'refused':>8} {'failed':>8}  slowest")
    failed = 0
    for name in names:
        run = fuzz(name, seconds=args.seconds, most=args.most, seed=args.seed, patience=args.patience, megabytes=args.megabytes)
        counts = [sum(run.outcomes.values()), *(run.outcomes[key] for key in ("accepted", "refused", "failed"))]
        print(f"{name:12} {' '.join(f'{count:8}' for count in counts)}  {run.slowest:.1f} s", flush=True)
        failed += run.outcomes["failed"]
        for path, failure in zip(save(run, args.out, args.seed), run.failures, strict=True):
            print(f"  {run.kinds[failure.kind]} × {failure.kind}: {path}", flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
