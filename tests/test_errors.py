"""Errors for people: all of one base class, in whole sentences, and shown by the command line instead of a traceback."""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import logging
import pkgutil
import re
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import detection_core
from detection_core.cli.common import UsageError
from detection_core.cli.compare_output import Files
from detection_core.cli.main import main, run
from detection_core.datasets.checks import Fault
from detection_core.datasets.coco import read_coco
from detection_core.datasets.coco_json import DataError
from detection_core.datasets.preparation import InvalidDataError, TrainingData
from detection_core.engine import EngineBusyError, EngineError, LocalEngine
from detection_core.errors import SettingsError, UserError
from detection_core.formats import InvalidEntryError, ResultsFormatError, SeveralImagesError, read_coco_results
from detection_core.images.limits import ImageError
from detection_core.images.reading import load_image, read_image
from detection_core.inputs import NoImagesError, find_images
from detection_core.models.catalog import PERSON_MODEL, UnknownModelError, get_model_spec
from detection_core.models.checkpoint import CheckpointError
from detection_core.models.device import DeviceError, require_device
from detection_core.models.user_models import read_model_spec
from detection_core.models.weights import WeightsError, fetch_weights
from detection_core.settings import read_setting
from detection_core.training import TrainingError
from detection_core.training.fine_tune import train
from detection_core.video.io import VideoError, open_video

PACKAGE = Path(detection_core.__file__).parent
SPEC = get_model_spec(PERSON_MODEL)
# Never shown as they are, and why.
INTERNAL = {
    "DownloadCancelled": "nothing went wrong: the caller no longer wants the file",
    "DownloadError": "a reason within the sentence of a WeightsError",
    "TrainingInterrupted": "nothing went wrong: the user stopped the training",
    "SaliencyCancelled": "nothing went wrong: the caller no longer wants the map",
    "UnknownFamilyError": "a reason within the sentence of a CheckpointError",
}
NOWHERE = Path("nowhere")


@cache
def exception_classes() -> dict[str, type[BaseException]]:
    """All exception classes that the package defines, by name."""
    found = {}
    for info in pkgutil.walk_packages(detection_core.__path__, "detection_core."):
        if info.name == "detection_core.__main__":
            continue
        try:
            module = importlib.import_module(info.name)
        except ModuleNotFoundError as error:
            # Which only the processes of a cluster import.
            if error.name == "ray":
                continue
            raise
        for name, each in inspect.getmembers(module, inspect.isclass):
            if issubclass(each, BaseException) and each.__module__ == info.name:
                found[name] = each
    return found


def test_every_error_is_for_people_or_listed_as_internal():
    assert {name for name, each in exception_classes().items() if not issubclass(each, UserError)} == INTERNAL.keys()


@pytest.mark.parametrize(
    ("name", "base"),
    [
        *((name, ValueError) for name in ("CheckpointError", "DataError", "DeviceError", "ImageError", "NoImagesError")),
        *((name, ValueError) for name in ("ResultsFormatError", "SettingsError", "TrainingError", "VideoError")),
        *((name, RuntimeError) for name in ("EngineError", "WeightsError")),
        ("UnknownModelError", KeyError),
    ],
)
def test_what_is_public_can_be_caught_as_pythons_own_kind(name: str, base: type[Exception]):
    assert issubclass(exception_classes()[name], base)


def closed_engine() -> None:
    engine = LocalEngine()
    engine.close()
    engine.submit(read_image(np.zeros((20, 20, 3), np.uint8)), SPEC)


OF_TWO_IMAGES = b'[{"image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1], "score": 1}, {"image_id": 2}]'
WAYS: list[tuple[type[UserError], Callable[[], object]]] = [
    (CheckpointError, lambda: read_model_spec(NOWHERE)),
    (DataError, lambda: read_coco(NOWHERE)),
    (DeviceError, lambda: require_device("nowhere")),
    (EngineBusyError, lambda: LocalEngine(max_jobs=0).submit(read_image(np.zeros((20, 20, 3), np.uint8)), SPEC)),
    (EngineError, closed_engine),
    (ImageError, lambda: load_image(NOWHERE)),
    (InvalidEntryError, lambda: read_coco_results([{}], (10, 10))),
    (NoImagesError, lambda: find_images(["nowhere/*.jpg"])),
    (ResultsFormatError, lambda: read_coco_results(b"{", (10, 10))),
    (SettingsError, lambda: read_setting("port", {"GRADIO_SERVER_PORT": "many"})),
    (SeveralImagesError, lambda: read_coco_results(OF_TWO_IMAGES, (10, 10))),
    (TrainingError, lambda: train(TrainingData([NOWHERE]), PERSON_MODEL, Path("model.txt"))),
    (UnknownModelError, lambda: get_model_spec("yolo")),
    (UsageError, lambda: Files(["a"], Path(__file__)).prepare([])),
    (VideoError, lambda: open_video(NOWHERE)),
    (WeightsError, lambda: fetch_weights(replace(SPEC, source="user", file=NOWHERE))),
]


def is_whole_sentence(text: str) -> bool:
    """Whether it begins like a sentence, or with a name that is written small, and ends like one; "…" may stand for anything."""
    begins = re.match(r"[A-Z0-9“…]|--|torchvision |\w+\[", text)
    return begins is not None and text.rstrip("”")[-1] in ".?!…"


@pytest.mark.parametrize(("kind", "cause"), WAYS, ids=[kind.__name__ for kind, _ in WAYS])
def test_a_message_is_whole_sentences(kind: type[UserError], cause: Callable[[], object]):
    with pytest.raises(kind) as raised:
        cause()
    assert type(raised.value) is kind
    assert is_whole_sentence(str(raised.value)), str(raised.value)


def test_all_faults_of_a_data_set_are_sentences():
    lines = str(InvalidDataError([Fault(1, "a.jpg", None, "it is damaged", "Copy it again")])).splitlines()
    assert lines[0] == "image 1 (a.jpg): it is damaged. Copy it again."
    assert is_whole_sentence(lines[1])


def constant_errors() -> list[str]:
    """The names of errors that need no arguments, because they always say the same."""
    return [
        name
        for name, each in exception_classes().items()
        if "__init__" in vars(each) and len(inspect.signature(each.__init__).parameters) == 1
    ]


def test_a_message_that_is_always_the_same_is_whole_sentences():
    messages = [str(exception_classes()[name]()) for name in constant_errors()]
    assert messages
    assert all(map(is_whole_sentence, messages)), messages


def written_messages() -> Iterator[tuple[str, str]]:
    """The place and the text of each message that stands where a UserError is raised; "…" stands for what is put in."""
    names = {name for name, each in exception_classes().items() if issubclass(each, UserError)}
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args and ast.unparse(node.exc.func) in names:
                message = node.exc.args[0]
                parts = message.values if isinstance(message, ast.JoinedStr) else [message]
                text = "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in parts)
                yield f"{path.relative_to(PACKAGE)}:{node.lineno}", text


def test_messages_are_written_as_whole_sentences():
    written = dict(written_messages())
    assert len(written) > 100
    assert not {place: text for place, text in written.items() if not is_whole_sentence(text)}


@pytest.mark.parametrize("kind", [kind for kind, _ in WAYS if kind is not UnknownModelError], ids=lambda kind: kind.__name__)
def test_a_command_that_raises_one_says_it_in_a_line(kind: type[UserError], capsys):
    def command(args: argparse.Namespace) -> int:
        raise kind("It cannot be done. Do something else.")

    assert run(argparse.Namespace(command=command)) == 2
    assert capsys.readouterr() == ("", "It cannot be done. Do something else.\n")


def test_any_other_exception_of_a_command_is_a_defect():
    def command(args: argparse.Namespace) -> int:
        raise ValueError("not for people")

    with pytest.raises(ValueError, match="not for people"):
        run(argparse.Namespace(command=command))


IMAGE = str(PACKAGE.parent / "assets" / "examples" / "chelsea.jpg")
DETECT = ["detect", IMAGE, "--model", PERSON_MODEL]
COMPARE = ["compare", IMAGE, "--models", PERSON_MODEL, "ssd300_vgg16"]


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        (["models"], "models.catalog.list_specs"),
        (["models"], "models.weights.find_weights"),
        (DETECT, "models.catalog.get_model_spec"),
        (DETECT, "inputs.find_images"),
        (DETECT, "models.device.require_device"),
        (DETECT, "models.download.sha256"),
        (DETECT, "batch.BatchRun"),
        (COMPARE, "models.catalog.get_model_spec"),
        (COMPARE, "images.limits.ImageLimits.from_environment"),
        (COMPARE, "cli.compare_output.Files.prepare"),
        (["train", "--data", "images", "--model", PERSON_MODEL, "--out", "a.pt"], "training.fine_tune.train"),
        (["serve", "--port", "0"], "video.io.VideoLimits.from_environment"),
        (["serve", "--port", "0"], "engine.LocalEngine"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else value,
)
def test_wherever_in_a_command_it_is_raised(arguments: list[str], place: str, monkeypatch, capsys):
    def fail(*_: object, **__: object) -> None:
        raise UserError("It cannot be done. Do something else.")

    # `serve` has the process for itself.
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)
    monkeypatch.setattr(f"detection_core.{place}", fail)
    assert main(arguments) == 2
    assert capsys.readouterr().err.removeprefix("Loading\n") == "It cannot be done. Do something else.\n"
