"""Code shared by the commands: errors, output, and the lookup of models."""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detection_core.errors import UserError
from detection_core.file_names import on_one_line
from detection_core.models.model_key import ModelKey
from detection_core.models.precision import Precision, usual_precision

if TYPE_CHECKING:
    from detection_core.formats.thresholds import ModelThresholds
    from detection_core.images.limits import ImageLimits
    from detection_core.models.catalog import ModelSpec
    from detection_core.models.loader import ModelLoader

_STAGES = {"download": "Downloading", "load": "Loading"}


class UsageError(UserError):
    """Raised before any work if a command cannot be carried out as given; the message says why."""


def fraction(text: str) -> float:
    """Parses an argument between 0 and 1.

    Raises:
        argparse.ArgumentTypeError: If it is out of range.
    """
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def count(text: str) -> int:
    """Parses an argument that is a number of things, at least one.

    Raises:
        argparse.ArgumentTypeError: If it is not above 0.
    """
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return value


def escape_unsupported_characters() -> None:
    """Makes standard output escape characters that the terminal's encoding, such as ASCII, does not support, as stderr does."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def use_models_folder(name: str | None) -> None:
    """Sets the folder with the user's own models; None keeps the default.

    Raises:
        SettingsError: If the folder does not exist.
    """
    from detection_core.models.user_models import use_folder

    if name is not None:
        use_folder(name)


def add_precision(parser: argparse.ArgumentParser) -> None:
    """Adds the option `--precision` to a parser."""
    text = "exact (float32, the default), fast (16 bits, if the hardware supports it), or stock (torchvision's own modules)"
    parser.add_argument("--precision", choices=list(map(str, Precision)), help=f"precision of the models: {text}")


def add_input_size(parser: argparse.ArgumentParser) -> None:
    """Adds the option `--input-size` to a parser."""
    text = "resize images to this shorter side for the models, from 320 to 1333; default: as trained. SSDs have one size only"
    parser.add_argument("--input-size", type=count, metavar="PX", help=text)


def add_slices(parser: argparse.ArgumentParser) -> None:
    """Adds the option `--slices` to a parser."""
    text = "also run on overlapping slices of this side, 128 to 4096, to find small objects in large images; default: none"
    parser.add_argument("--slices", type=count, metavar="PX", help=text)


def find_spec(model: str, precision: str | None = None, input_size: int | None = None, slices: int | None = None) -> ModelSpec:
    """Finds the model for a key or a checkpoint file, either of which may end in a variant: "mine.pt@fast@480px".

    Args:
        model: The key or file name.
        precision: The precision that the user chose for all models; None uses that of the name, or the default.
        input_size: The input size that the user chose for all models, in pixels; None uses that of the name.
        slices: The side of slices that the user chose for all models, in pixels; None uses that of the name.

    Raises:
        UnknownModelError: If there is no such model.
        CheckpointError: If the file cannot be used.
        VariantError: If the model does not run at the input size, or slices cannot have this side.
        SettingsError: If the environment names an unknown precision.
    """
    spec = _find_spec(model)
    if input_size is not None:
        spec = spec.at_input_size(input_size)
    if slices is not None:
        spec = spec.in_slices(slices)
    if spec.note:
        say(f"{spec.file_name}: {spec.note}")
    usual = usual_precision()
    named = spec.precision is not Precision.EXACT
    return spec.in_precision(Precision(precision) if precision else spec.precision if named else usual)


def thresholds_of(known: Mapping[str, ModelThresholds], key: str) -> ModelThresholds | None:
    """Returns a model's thresholds, which mean the same in each precision, or None if there are none."""

    def in_any_precision(each: str) -> ModelKey:
        return replace(ModelKey.parse(each), precision=Precision.EXACT)

    others = {in_any_precision(each): thresholds for each, thresholds in known.items()}
    return known.get(key) or others.get(in_any_precision(key))


def chosen_thresholds(path: Path, spec: ModelSpec) -> ModelThresholds:
    """Reads a model's thresholds from a thresholds file.

    Raises:
        ResultsFormatError: If the file cannot be used.
        UsageError: If it has none of this model, or one of a class that the model does not have.
    """
    from detection_core.formats.thresholds import read_thresholds

    known = read_thresholds(path)
    chosen = thresholds_of(known, spec.key)
    if chosen is None:
        raise UsageError(f"The file “{path}” has no threshold of {spec.key}, but of {', '.join(known)}.")
    if unknown := sorted(set(chosen.classes) - set(spec.categories)):
        raise UsageError(f"The file “{path}” has a threshold of the class “{unknown[0]}”, which {spec.key} does not have.")
    return chosen


def _find_spec(model: str) -> ModelSpec:
    from detection_core.models.catalog import UnknownModelError, get_model_spec
    from detection_core.models.user_models import is_model_file, read_model_spec

    try:
        return get_model_spec(model)
    except UnknownModelError:
        key = ModelKey.parse(model)
        # A name that is written as a path, or is a file, is not meant as a key.
        if not (is_model_file(Path(key.name)) or Path(key.name).name != key.name or Path(key.name).is_file()):
            raise
    return read_model_spec(Path(key.name)).as_variant(key)


def settings(device: str) -> tuple[ImageLimits, ModelLoader]:
    """Reads the limits on images and the loader's memory budget from the environment, for a device on which models can run.

    Raises:
        DeviceError: If the device is not available.
        SettingsError: If an environment variable is invalid.
    """
    from detection_core.images.limits import ImageLimits
    from detection_core.models.device import require_device
    from detection_core.models.loader import ModelLoader

    require_device(device)
    return ImageLimits.from_environment(), ModelLoader(device=device)


def in_a_line(error: BaseException) -> str:
    """Returns an error's first line, or advice if memory ran out."""
    from detection_core.models.device import is_lack_of_memory

    text = str(error)
    if is_lack_of_memory(error):
        return "There is too little memory. Try a smaller image or a lighter model."
    if isinstance(error, OSError) and error.strerror:
        # The full text of the error would name a temporary file.
        return f"The system says: {error.strerror}."
    return text.partition("\n")[0] or type(error).__name__


class LoadReport:
    """Reports the loading of a model on stderr, with a line for every tenth of a download."""

    def __init__(self) -> None:
        self._last = ""

    def __call__(self, progress: Any) -> None:
        """Reports a stage, unless it was the last one reported."""
        text = _STAGES[progress.stage]
        if progress.total and progress.stage == "download":
            tenth = 10 * progress.done // progress.total
            text += f" {tenth * 10} % of {progress.total / 1e6:.0f} MB"
        if text != self._last:
            self._last = text
            say(text)


def print_json(value: Any) -> None:
    """Writes a value to stdout as JSON."""
    json.dump(value, sys.stdout, indent=2)
    print()


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Writes rows of cells to stdout with aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def duration(seconds: float) -> str:
    """Formats a duration, such as "2 min 5 s"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def say(text: str) -> None:
    """Writes a message to stderr, with line breaks in file names as escapes; stdout is for results only."""
    print(on_one_line(text), file=sys.stderr, flush=True)
