"""The command `evaluate`."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detection_core.cli.common import (
    UsageError,
    add_input_size,
    add_precision,
    add_slices,
    duration,
    find_spec,
    fraction,
    in_a_line,
    print_json,
    print_table,
    say,
    settings,
    thresholds_of,
    use_models_folder,
)

if TYPE_CHECKING:
    from detection_core.evaluation import Candidate, Evaluated, Step
    from detection_core.formats.thresholds import ModelThresholds

_EXAMPLE = """\
example:
  python -m detection_core evaluate --data my_images --models ssdlite300_mobilenet_v2 models/mine.pt --results others.json --out evaluated

my_images contains annotations.json or COCO's annotations/ and val2017/, data.yaml (YOLO), or XML files (Pascal VOC), with the images, and
may be a zip archive. With --out, an interrupted evaluation continues where it stopped when the same command is run again. All figures are
from 0 to 1.
"""
_EVERY_SECONDS = 10
_SUMMARY = ("AP", "AP50", "AP75", "APS", "APM", "APL", "AR")
_FIGURES = (*_SUMMARY, "AR1", "AR10", "AR50", "AR75", "ARS", "ARM", "ARL", "precision", "recall", "F1")


def add_evaluate(commands: Any) -> None:
    """Adds the command to a parser's commands."""
    parser = commands.add_parser(
        "evaluate", help="measure models on your annotated images", epilog=_EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, metavar="DIR_OR_FILE", help="annotated images: a folder, .zip, .json or .yaml")
    parser.add_argument("--split", choices=["train", "val", "test"], help="part of COCO or YOLO data; default: val, or else test or train")
    parser.add_argument("--skip-invalid", action="store_true", help="leave out invalid images and annotations instead of stopping")
    parser.add_argument("--models", nargs="+", default=[], metavar="MODEL", help="keys from the `models` command, or checkpoints (.pt)")
    parser.add_argument("--results", nargs="+", type=Path, default=[], metavar="JSON", help="results of other tools in COCO's format")
    parser.add_argument("--iou-type", choices=["bbox", "segm", "keypoints"], default="bbox", help="what is compared; default: bbox")
    parser.add_argument(
        "--iou", type=fraction, default=0.5, metavar="IOU", help="lowest IoU of a match for precision, recall and confusion"
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--threshold",
        nargs="+",
        type=_threshold,
        default=[],
        metavar="[MODEL=]T",
        help="score threshold of all models, or of one of them; default: each model's own",
    )
    which.add_argument("--thresholds", type=Path, metavar="FILE", help="thresholds.json of the Evaluate tab or of an earlier run")
    parser.add_argument("--classes", type=_names, default=[], metavar="A,B", help="classes to evaluate; default: all of the data")
    parser.add_argument(
        "--map", nargs="+", type=_pair, default=[], metavar="MODEL=DATA", help="classes with other names; MODEL= leaves one out"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for the report, its figures and the raw results")
    parser.add_argument("--format", choices=["text", "json"], default="text", help="format of the output on stdout")
    parser.add_argument(
        "--fail-under", nargs="+", type=_limit, default=[], metavar="FIGURE=X", help="exit with 1 if a model is below, such as AP=0.30"
    )
    parser.add_argument("--resamples", type=_count, default=200, metavar="N", help="resampled sets of images for intervals; 0 for none")
    add_precision(parser)
    add_input_size(parser)
    add_slices(parser)
    parser.add_argument("--device", default="cpu", metavar="D", help="device for the models: cpu, cuda, cuda:1, mps")
    parser.add_argument("--models-dir", metavar="DIR", help="folder with your own models; default: models, if it exists")
    parser.set_defaults(command=_evaluate)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _pair(text: str) -> tuple[str, str | None]:
    model, separator, data = text.partition("=")
    if not model or not separator:
        raise argparse.ArgumentTypeError(f"{text} is not MODEL_CLASS=DATA_CLASS")
    return model, data or None


def _threshold(text: str) -> tuple[str, float]:
    """Parses "0.5" as that of all models (""), and "mine=0.5" as that of one."""
    model, _, value = text.rpartition("=")
    try:
        return model, fraction(value)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not a number or MODEL=NUMBER") from None


def _limit(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    if name not in _FIGURES:
        raise argparse.ArgumentTypeError(f"{text} does not begin with one of {', '.join(_FIGURES)}")
    try:
        return name, fraction(value)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not {name}=NUMBER") from None


def _count(text: str) -> int:
    value = int(text)
    if not 0 <= value <= 10_000:
        raise argparse.ArgumentTypeError(f"{text} is not from 0 to 10000")
    return value


def _evaluate(args: argparse.Namespace) -> int:
    if not args.models and not args.results:
        raise UsageError("Name at least one model after --models, or a results file after --results.")
    use_models_folder(args.models_dir)
    sources = [*(find_spec(name, args.precision, args.input_size, args.slices) for name in args.models), *args.results]
    _, loader = settings(args.device)
    from detection_core.engine import LocalEngine
    from detection_core.evaluation import Candidate, EvaluationOptions, evaluate
    from detection_core.formats.thresholds import read_thresholds

    candidates = [Candidate(source, class_changes=dict(args.map)) for source in sources]
    thresholds = dict(args.threshold)
    if unknown := thresholds.keys() - {"", *(candidate.name for candidate in candidates)}:
        names = ", ".join(candidate.name for candidate in candidates)
        raise UsageError(f"--threshold names “{min(unknown)}”, but the models are: {names}.")
    candidates = [replace(each, threshold=thresholds.get(each.name, thresholds.get(""))) for each in candidates]
    if args.thresholds is not None:
        known = read_thresholds(args.thresholds)
        candidates = [_with_chosen(each, thresholds_of(known, each.name)) for each in candidates]
    options = EvaluationOptions(
        iou_type=args.iou_type,
        iou=args.iou,
        classes=args.classes,
        split=args.split,
        skip_invalid=args.skip_invalid,
        resamples=args.resamples,
    )
    if args.out is not None:
        try:
            args.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"The folder “{args.out}” cannot be created: {error.strerror}.") from error
    progress = _Progress(resumable=args.out is not None)
    engine = LocalEngine(args.device, loader=loader)
    try:
        evaluated = evaluate(args.data, candidates, out=args.out, options=options, engine=engine, say=say, on_step=progress.add)
    except KeyboardInterrupt:
        progress.interrupted()
        raise
    except OSError as error:
        say(f"The results cannot be written to “{args.out}”: {error.strerror}.")
        return 1
    finally:
        engine.close()
    for note in (f"{model.name}: {note}" for model in evaluated.models for note in model.notes):
        say(note)
    if args.format == "json":
        print_json(evaluated.metrics(args.iou))
    else:
        _print(evaluated, args.iou)
    if args.out is not None:
        say(f"Report: {args.out / 'report.html'}")
    below = _below(evaluated, args.fail_under, args.iou)
    for sentence in below:
        say(sentence)
    return 1 if evaluated.failed or below else 0


def _with_chosen(candidate: Candidate, chosen: ModelThresholds | None) -> Candidate:
    """Returns the candidate with the thresholds of a file, if that has any of it."""
    if chosen is None:
        say(f"{candidate.name}: the thresholds file has no threshold of it, so its own is used.")
        return candidate
    return replace(candidate, threshold=chosen.all, class_thresholds=chosen.classes)


class _Progress:
    """Reports progress on stderr: a failure at once, and otherwise a line every few seconds."""

    def __init__(self, *, resumable: bool) -> None:
        self._resumable = resumable
        self._started = self._last = time.monotonic()
        self._run = 0
        self._left: int | None = None

    def add(self, step: Step) -> None:
        """Reports the outcome of an image."""
        self._left = step.total - step.done
        if step.error is not None:
            say(f"{step.model} is not evaluated: {in_a_line(step.error)}")
            return
        self._run += not step.reused
        now = time.monotonic()
        if now - self._last >= _EVERY_SECONDS and self._run:
            self._last = now
            each = (now - self._started) / self._run
            say(f"[{step.done}/{step.total}] {step.model}: {1 / each:.1f} images/s, {duration(each * self._left)} left")

    def interrupted(self) -> None:
        """Says how to continue."""
        if self._left and self._resumable:
            say(f"{self._left} images left: run the same command again to continue.")


def _print(evaluated: Evaluated, iou: float) -> None:
    """Writes the figures of all models, and the differences between them, to stdout."""
    rows = []
    for model in evaluated.models:
        point = model.point(iou)
        bounds = model.resampled.intervals()["AP"] if model.resamples else None
        figures = [_number(model.figures.summary.get(name)) for name in _SUMMARY]
        span = "-" if bounds is None else f"{bounds.low:.3f}-{bounds.high:.3f}"
        at = [f"{model.threshold:g}", *map(_number, (point.precision, point.recall, point.f1))]
        seconds = model.cost.seconds
        rows.append([model.name, figures[0], span, *figures[1:], *at, "-" if seconds is None else f"{1000 * seconds:.0f} ms"])
    print_table([["MODEL", "AP", "95 %", *_SUMMARY[1:], "THRESHOLD", "PRECISION", "RECALL", "F1", "TIME"], *rows])
    pairs = []
    for a, b in evaluated.pairs():
        difference, bounds = evaluated.difference(a, b)
        found = evaluated.compare(a, b, iou)
        span = "-" if bounds is None else f"{bounds.low:+.3f} to {bounds.high:+.3f}"
        counts = [str(len(found.only_a)), str(len(found.only_b)), f"{found.p_value:.2g}"]
        pairs.append([a.name, b.name, _number(difference, "+.3f"), span, *counts])
    if pairs:
        print()
        print_table([["A", "B", "AP A-B", "95 %", "ONLY A", "ONLY B", "P"], *pairs])


def _number(value: float | None, form: str = ".3f") -> str:
    return "-" if value is None else format(value, form)


def _below(evaluated: Evaluated, limits: Sequence[tuple[str, float]], iou: float) -> list[str]:
    """Returns a sentence for each figure of a model that is below its limit, or not known."""
    sentences = []
    for model in evaluated.models:
        point = model.point(iou)
        figures = {**model.figures.summary, "precision": point.precision, "recall": point.recall, "F1": point.f1}
        for name, limit in limits:
            value = figures.get(name)
            if value is None or value < limit:
                sentences.append(f"{model.name}: {name} is {_number(value)}, below {limit:g}.")
    return sentences
