"""The command `train`."""

from __future__ import annotations

import argparse
import math
import os
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from detection_core.errors import UserError

_INTERRUPTED = 130  # 128 + SIGINT, as in shells.
_EXAMPLE = """\
example:
  python -m detection_core train --data my_images --model fasterrcnn_mobilenet_v3_large_320_fpn --out models/mine.pt

my_images contains annotations.json, in COCO's format, and images/; or annotations/ and train2017/, as in COCO. The page lists the result
automatically. To train with several processes, one per GPU or per share of the cores:
torchrun --standalone --nproc_per_node 2 -m detection_core train ...
"""


def add_train(commands: Any) -> None:
    """Adds the command to a parser's commands."""
    parser = commands.add_parser(
        "train", help="fine-tune a model on your images", epilog=_EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    files = parser.add_argument_group("files")
    files.add_argument("--data", type=Path, nargs="+", required=True, metavar="DIR_OR_JSON", help="images and annotations in COCO's format")
    files.add_argument("--val", type=Path, nargs="+", default=[], metavar="DIR_OR_JSON", help="validation data; default: a part of --data")
    files.add_argument("--val-fraction", type=_part, default=0.1, metavar="F", help="size of that part (default: 0.1)")
    files.add_argument("--partial", type=Path, nargs="+", default=[], metavar="DIR_OR_JSON", help="data with some objects unlabeled")
    files.add_argument("--out", type=Path, required=True, metavar="NAME.pt", help="the checkpoint to write")
    files.add_argument("--resume", action="store_true", help="continue from NAME.last.pt")
    files.add_argument("--skip-invalid", action="store_true", help="leave out invalid images and annotations instead of stopping")

    start = parser.add_argument_group("model")
    start.add_argument("--model", required=True, metavar="KEY", help="a key from the `models` command, or e.g. fasterrcnn_mobilenet_v2_fpn")
    start.add_argument(
        "--init",
        default="weights",
        metavar="weights|backbone|random|FILE.pt",
        help="initial weights (default: weights, those for COCO)",
    )
    start.add_argument("--backbone", type=Path, metavar="FILE", help="with --init backbone: a MobileNetV2 state dict, or MoveNet's .json")
    start.add_argument("--image-size", type=_positive, metavar="PX", help="shorter side of images in the model; default: the model's own")

    recipe = parser.add_argument_group("recipe")
    for option, kind, text in (
        ("epochs", _positive, "number of passes over all images"),
        ("batch-size", _positive, "images per batch and process"),
        ("lr", _above_zero, "highest learning rate"),
        ("backbone-lr", _above_zero, "the backbone's learning rate as a fraction of --lr"),
        ("warmup", _count, "batches over which the learning rate rises"),
        ("trainable-layers", _count, "number of the backbone's last stages that are trained; default: the model's own"),
        ("average", _count, "batches over which the weights are averaged; 0 for none"),
        ("repeat-masks", _positive, "uses of each image with masks per epoch, if others have none"),
        ("proposals", _positive, "boxes per image for training the heads of a two-stage model; default: the model's own"),
        ("seed", _count, "random seed"),
    ):
        default = _default(option.replace("-", "_"))
        shown = "" if default is None else f" (default: {default})"
        recipe.add_argument(f"--{option}", type=kind, default=default, metavar="N", help=text + shown)
    recipe.add_argument("--loss-weight", type=_named_number, nargs="+", default=[], metavar="NAME=F", help="such as loss_keypoint=0.4")
    recipe.add_argument(
        "--background", type=_part, default=0.0, metavar="P", help="fraction of crops without objects, against false positives"
    )

    machine = parser.add_argument_group("machine")
    machine.add_argument("--device", default="cpu", metavar="D", help="cpu, cuda, cuda:1, mps")
    machine.add_argument("--precision", choices=["fp32", "bf16"], default="fp32", help="bf16 is faster if the hardware supports it")
    machine.add_argument("--workers", type=_count, default=0, metavar="N", help="number of processes that read images during training")
    parser.set_defaults(command=_train)


def _default(name: str) -> Any:
    from detection_core.training.recipe import Recipe

    return next(field.default for field in fields(Recipe) if field.name == name)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def _count(text: str) -> int:
    value = int(text)
    if not 0 <= value < 2**31:
        raise argparse.ArgumentTypeError(f"{text} is not from 0 to {2**31 - 1}")
    return value


def _above_zero(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def _part(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a fraction from 0 up to 1")
    return value


def _named_number(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name, _above_zero(value)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not NAME=NUMBER") from None


def _train(args: argparse.Namespace) -> int:
    from detection_core.datasets.preparation import TrainingData
    from detection_core.models.device import is_lack_of_memory
    from detection_core.models.user_models import model_folders
    from detection_core.training.fine_tune import train
    from detection_core.training.interruption import TrainingInterrupted
    from detection_core.training.recipe import Augmentation, Recipe

    own = {field.name for field in fields(Recipe)}
    recipe = Recipe(
        **{name: value for name, value in vars(args).items() if name in own},
        loss_weights=dict(args.loss_weight),
        bf16=args.precision == "bf16",
        augmentation=Augmentation(min_size=None, background=args.background),
    )
    data = TrainingData(args.data, args.val, args.partial, args.val_fraction, args.skip_invalid)
    try:
        train(
            data,
            args.model,
            args.out,
            init=args.init,
            backbone=args.backbone,
            image_size=args.image_size,
            recipe=recipe,
            resume=args.resume,
            device=args.device,
            workers=args.workers,
        )
    except TrainingInterrupted as interrupted:
        _say(str(interrupted))
        return _INTERRUPTED
    except (UserError, OSError) as error:
        _say(str(error))
        return 2
    except (RuntimeError, MemoryError) as error:
        if not is_lack_of_memory(error):
            raise
        _say("There is too little memory. Lower --batch-size or --image-size, and continue with --resume if training had begun.")
        return 1
    folder = args.out.parent.resolve()
    listed = any(folder == listed_folder.resolve() for listed_folder in model_folders())
    _say(f"{args.out} is ready{': the page lists it.' if listed else '. Put it into models/ to see it in the page.'}")
    return 0


def _say(text: str) -> None:
    """Prints a message once for all processes that torchrun has started."""
    if os.environ.get("RANK", "0") == "0":
        print(text, file=sys.stderr, flush=True)
