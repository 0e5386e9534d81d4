"""What the commands of the command line share: their errors, what they say, and how they find models."""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detection_core.file_names import on_one_line
from detection_core.models.precision import Precision, split_key, usual_precision

if TYPE_CHECKING:
    from detection_core.images.limits import ImageLimits
    from detection_core.models.catalog import ModelSpec
    from detection_core.models.loader import ModelLoader

_STAGES = {"download": "Downloading", "load": "Loading"}


class UsageError(Exception):
    """It cannot be done as it was asked for, so nothing was; the message says why."""


def fraction(text: str) -> float:
    """An argument between 0 and 1.

    Raises:
        argparse.ArgumentTypeError: If it is not.
    """
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def let_every_letter_pass() -> None:
    """Has letters that standard output cannot hold, in a terminal of ASCII or Latin-1, written as escapes, as stderr does anyway."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def use_models_folder(name: str | None) -> None:
    """Lets the user's own models be found in this folder; None keeps the usual one.

    Raises:
        UsageError: If there is no such folder.
    """
    from detection_core.models.user_models import use_folder

    try:
        if name is not None:
            use_folder(name)
    except ValueError as error:
        raise UsageError(str(error)) from error


def add_precision(parser: argparse.ArgumentParser) -> None:
    """Adds the choice of a precision to a parser."""
    told = "exact (float32, the usual), fast (16 bits, where the machine has them), stock (torchvision's own modules)"
    parser.add_argument("--precision", choices=list(map(str, Precision)), help=f"in which numbers models compute: {told}")


def find_spec(model: str, precision: str | None = None) -> ModelSpec:
    """The model of a key or of a checkpoint file, either of which may end in a precision: "mine.pt@fast".

    Args:
        model: What the user called it.
        precision: The one that the user chose for all; None leaves what the model's name says, or the usual one.

    Raises:
        UsageError: If it is neither.
    """
    spec = _find_spec(model)
    try:
        usual = usual_precision()
    except ValueError as error:
        raise UsageError(str(error)) from error
    named = spec.precision is not Precision.EXACT
    return spec.in_precision(Precision(precision) if precision else spec.precision if named else usual)


def _find_spec(model: str) -> ModelSpec:
    from detection_core.models.catalog import UnknownModelError, get_model_spec
    from detection_core.models.checkpoint import CheckpointError
    from detection_core.models.user_models import is_model_file, read_model_spec

    try:
        return get_model_spec(model)
    except UnknownModelError as error:
        name, precision = split_key(model)
        if not is_model_file(Path(name)):
            raise UsageError(str(error)) from error
    try:
        return read_model_spec(Path(name)).in_precision(precision)
    except CheckpointError as error:
        raise UsageError(str(error)) from error


def check_device(name: str) -> None:
    """Checks that models can run on a device.

    Raises:
        UsageError: If they cannot.
    """
    from detection_core.models.device import DeviceError, require_device

    try:
        require_device(name)
    except DeviceError as error:
        raise UsageError(str(error)) from error


def settings(device: str) -> tuple[ImageLimits, ModelLoader]:
    """What the environment says about images and memory.

    Raises:
        UsageError: If one of its variables is not what it should be.
    """
    from detection_core.images.limits import ImageLimits
    from detection_core.models.loader import ModelLoader

    try:
        return ImageLimits.from_environment(), ModelLoader(device=device)
    except ValueError as error:
        raise UsageError(str(error)) from error


def in_a_line(error: BaseException) -> str:
    """An error's first line, or what to do where memory is short."""
    from detection_core.models.device import is_lack_of_memory

    text = str(error)
    if is_lack_of_memory(error):
        return "There is too little memory. Try a smaller image or a lighter model."
    if isinstance(error, OSError) and error.strerror:
        # The system's own text names the file that was written for the moment.
        return f"The system says: {error.strerror}."
    return text.partition("\n")[0] or type(error).__name__


class LoadReport:
    """Says on stderr what takes time before the first image, a line for every tenth of a download."""

    def __init__(self) -> None:
        self._said = ""

    def __call__(self, progress: Any) -> None:
        """Says a stage, unless it has just been said."""
        text = _STAGES[progress.stage]
        if progress.total and progress.stage == "download":
            tenth = 10 * progress.done // progress.total
            text += f" {tenth * 10} % of {progress.total / 1e6:.0f} MB"
        if text != self._said:
            self._said = text
            say(text)


def print_json(value: Any) -> None:
    """Writes a value to stdout."""
    json.dump(value, sys.stdout, indent=2)
    print()


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Writes rows of cells to stdout, the columns below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def duration(seconds: float) -> str:
    """A time for people, such as "2 min 5 s"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def say(text: str) -> None:
    """Writes a line for people to stderr, so that stdout stays a result; line breaks in names of files are written as escapes."""
    print(on_one_line(text), file=sys.stderr, flush=True)
