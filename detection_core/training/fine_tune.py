"""Trains a checkpoint from a folder of annotated images, in one call."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.random import fork_rng
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN

from detection_core.datasets.coco import CocoDataset
from detection_core.datasets.preparation import TrainingData, read_and_check
from detection_core.models.build import build_empty
from detection_core.models.builders import BUILDERS
from detection_core.models.catalog import UnknownModelError, get_model_spec, list_models
from detection_core.models.checkpoint import Checkpoint
from detection_core.models.device import require_device
from detection_core.models.empty import build_on_meta
from detection_core.models.families import Task
from detection_core.models.loader import ModelLoader
from detection_core.models.precision import Precision
from detection_core.models.spec import Architecture
from detection_core.models.state_dict import has_masks, num_keypoints
from detection_core.models.user_models import read_model_spec, spec_of_checkpoint, summary
from detection_core.training import TrainingError
from detection_core.training.initialization import transfer
from detection_core.training.recipe import Augmentation, Recipe
from detection_core.training.starts import backbone_start, frozen_by_backbone
from detection_core.training.trainer import Trainer

# The range of training image sizes, as fractions of the model's own size.
_SCALES = (0.75, 1.1)
# The aspect ratio above which an image is scaled down further.
_LONGEST = 1.5
_LOSSES = {"loss_objectness", "loss_rpn_box_reg", "loss_classifier", "loss_box_reg", "loss_mask", "loss_keypoint"}
_LOSSES |= {"classification", "bbox_regression", "bbox_ctrness"}
# Builders whose models have only the heads for which the data has targets.
_HEADS_ON_DEMAND = {"ssdlite300_mobilenet_v2"}
# torchvision's default for a trained backbone is 3 except for these; the person model's backbone was trained on people, not on ImageNet.
_TRAINABLE_LAYERS = {"ssd300_vgg16": 4, "ssdlite320_mobilenet_v3_large": 6, "ssdlite300_mobilenet_v2": 6, "person_mobilenet_v2_fpn": 2}


def train(
    data: str | Path | TrainingData,
    model: str,
    out: str | Path,
    *,
    init: str | Path = "weights",
    backbone: str | Path | None = None,
    image_size: int | None = None,
    recipe: Recipe | None = None,
    resume: bool = False,
    device: str = "cpu",
    workers: int = 0,
    say: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True),
) -> Checkpoint:
    """Trains a detector for the classes of a data set.

    Under `torchrun` several processes train together, each on a GPU or a share of the cores; their gradients are averaged.

    Args:
        data: A folder or file in COCO's format, or several as `TrainingData`.
        model: A key of the catalog, or a builder in `builders.BUILDERS`.
        out: The checkpoint to write, `NAME.pt`. `NAME.last.pt`, to resume from, and the curve `NAME.png` and `NAME.json` are
            written beside it.
        init: The initial weights: "weights", the model's own (for torchvision's, those trained on COCO); "backbone", only its
            backbone, trained on ImageNet; "random"; or the path of a checkpoint or state dict of the same architecture. The weights of
            classes with the same name are kept.
        backbone: With `init="backbone"`, a file to use instead of a download: a MobileNetV2 state dict, or MoveNet's `model.json`.
        image_size: Length to which the shorter side is scaled; None is the model's own.
        recipe: The training recipe; None is the default, with images scaled around the model's size.
        resume: Continue from `NAME.last.pt`.
        device: The device by torch's name.
        workers: Number of processes that read images for each training process.
        say: Called with lines of progress for the user.

    Returns:
        The best checkpoint, which is also the one at `out`.

    Raises:
        UnknownModelError: If there is no such model.
        TrainingError: If the arguments do not fit together.
        DeviceError: If the device cannot be used.
        DataError: If the data cannot be read, or does not fit the model.
        InvalidDataError: If the data has faults.
        WeightsError: If the initial weights cannot be obtained.
        CheckpointError: If the file to start from or to resume cannot be used.
        FileExistsError: If `out` exists and `resume` is false.
        TrainingInterrupted: After Ctrl-C; the progress so far is saved.
    """
    out = Path(out)
    data = data if isinstance(data, TrainingData) else TrainingData([Path(data)])
    recipe = recipe or Recipe()
    _keep_results(out, resume)
    _refuse_unknown_losses(recipe)
    device = _join_others(device)
    require_device(device)
    report = say if not dist.is_initialized() or dist.get_rank() == 0 else _discard
    architecture = _base_architecture(model, init)
    if architecture.builder.startswith("ssdlite") and recipe.batch_size < 2:
        raise TrainingError("SSDlite's batch norms need more than one image: give --batch-size 2 or more.")
    if recipe.proposals is not None and not isinstance(build_on_meta(architecture), GeneralizedRCNN):
        raise TrainingError(f"{architecture.builder} has no heads that learn from proposals: leave --proposals out.")
    tasks = _tasks_of(architecture)
    drops_heads = architecture.builder in _HEADS_ON_DEMAND
    training, validation = read_and_check(data, tasks, recipe.seed, report, optional=tasks if drops_heads else ())
    keypoints = training.keypoint_names if "keypoints" in tasks else ()
    architecture = _fitted(architecture, training, keypoints, image_size)
    if drops_heads:
        heads = {"masks": "masks" in tasks, "num_keypoints": len(keypoints), "keypoint_labels": list(training.keypoint_labels)}
        architecture = Architecture(architecture.builder, {**architecture.arguments, **heads})
    with fork_rng():
        torch.manual_seed(recipe.seed)
        module, origin = _start(architecture, model, training.categories, keypoints, init, backbone, report, resume=resume)
    start = Checkpoint(architecture, training.categories, module.state_dict(), keypoints, category_ids=training.category_ids)
    spec = spec_of_checkpoint(start, out)
    recipe = replace(recipe, augmentation=_sized(recipe.augmentation, module))
    if recipe.trainable_layers is None and init != "random":
        recipe = replace(recipe, trainable_layers=_TRAINABLE_LAYERS.get(architecture.builder, 3))
    report(
        f"{summary(architecture, training.categories)} {len(training.images)} images to learn from, {len(validation.images)} to measure on."
    )
    identity = {"model": model, "init": str(init)}
    trainer = Trainer(
        module, spec, training, validation, out, recipe, device=device, workers=workers, say=report, origin=origin, identity=identity
    )
    if resume:
        trainer.resume()
    return trainer.fit()


def _discard(_: str) -> None:
    """Ignores a line; only the first process prints."""


def _keep_results(out: Path, resume: bool) -> None:
    if out.suffix != ".pt":
        raise TrainingError(f"The result's name must end in .pt: {out.with_suffix('.pt').name} instead of {out.name}.")
    if not resume and (taken := next((path for path in (out, out.with_suffix(".last.pt")) if path.exists()), None)):
        raise FileExistsError(f"{taken.name} exists already. Continue it with --resume, delete it, or choose another --out.")
    if resume and not out.with_suffix(".last.pt").exists():
        raise TrainingError(f"There is no {out.with_suffix('.last.pt').name} beside {out.name} to resume from. Start without --resume.")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out.parent):
            pass
    except OSError as error:
        raise TrainingError(f"Nothing can be written beside {out.name}: {error.strerror}. Choose another --out.") from error


def _refuse_unknown_losses(recipe: Recipe) -> None:
    if unknown := recipe.loss_weights.keys() - _LOSSES:
        raise TrainingError(f"There is no loss {', '.join(sorted(unknown))}. torchvision's are {', '.join(sorted(_LOSSES))}.")


def _join_others(device: str) -> str:
    """Joins the processes started by torchrun, each on its own GPU if there are any."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return device
    if not dist.is_initialized():
        # Only the first process measures on the validation images; the others wait for as long as it takes.
        dist.init_process_group("nccl" if device.startswith("cuda") else "gloo", timeout=timedelta(hours=6))
    if device != "cuda":
        return device
    own = f"cuda:{os.environ['LOCAL_RANK']}"
    require_device(own)
    torch.cuda.set_device(own)
    return own


def _base_architecture(model: str, init: str | Path) -> Architecture:
    """Returns the architecture before it is adapted to the data."""
    if init not in ("weights", "backbone", "random"):
        if not Path(init).exists():
            raise TrainingError(f"--init {init} is neither weights, backbone or random, nor a file that is there.")
        spec = read_model_spec(Path(init))
        wanted = get_model_spec(model).architecture.builder if model in list_models() else model
        if spec.architecture.builder != wanted:
            raise TrainingError(
                f"{Path(init).name} is a {spec.architecture.builder}, not a {wanted}. Give --model {spec.architecture.builder}."
            )
        return spec.architecture
    if model in BUILDERS and model not in list_models():
        if init == "weights":
            raise TrainingError(f"{model} has no trained weights. Start it with --init backbone, --init random or --init FILE.pt.")
        return Architecture(model, {})
    try:
        spec = get_model_spec(model)
    except UnknownModelError as error:
        others = ", ".join(name for name in BUILDERS if name not in list_models())
        raise TrainingError(f"{error} Models to be trained from a backbone: {others}.") from error
    if spec.input_size is not None:
        raise TrainingError(f"A model is trained at its own input size. Leave “@{spec.input_size}px” out of --model.")
    architecture = spec.architecture
    if init == "weights":
        return architecture
    arguments = {name: value for name, value in architecture.arguments.items() if name != "frozen_norm_epsilon"}
    bare = Architecture(architecture.builder, arguments)
    return frozen_by_backbone(bare) if init == "backbone" else bare


def _tasks_of(architecture: Architecture) -> set[Task]:
    state = build_on_meta(architecture).state_dict()
    heads: dict[Task, bool] = {"boxes": True, "masks": has_masks(state), "keypoints": num_keypoints(state) > 0}
    return {task for task, there in heads.items() if there}


def _fitted(base: Architecture, data: CocoDataset, keypoints: Sequence[str], image_size: int | None) -> Architecture:
    """Returns the architecture for a data set's classes and keypoints, and for an image size."""
    arguments = {**base.arguments, "num_classes": len(data.categories)}
    if keypoints:
        arguments["num_keypoints"] = len(keypoints)
    if image_size is not None:
        transform: Any = build_on_meta(base).transform
        if transform.fixed_size is not None:
            raise TrainingError(
                f"This model works on {transform.fixed_size[0]} pixels always; leave --image-size out, or choose another model."
            )
        arguments |= {"min_size": image_size, "max_size": round(image_size * transform.max_size / transform.min_size[-1])}
    return Architecture(base.builder, arguments)


def _start(
    architecture: Architecture,
    model: str,
    categories: Sequence[str],
    keypoints: Sequence[str],
    init: str | Path,
    backbone: str | Path | None,
    say: Callable[[str], None],
    *,
    resume: bool,
) -> tuple[nn.Module, str]:
    """Returns the module with its initial weights, and their origin."""
    if init == "random" or resume:
        return build_empty(architecture), str(init)
    if init == "backbone":
        return backbone_start(architecture, Path(backbone) if backbone else None, say)
    spec = get_model_spec(model) if init == "weights" else read_model_spec(Path(init))
    module = build_empty(architecture)
    report = transfer(
        module,
        ModelLoader().load(spec.in_precision(Precision.STOCK)).state_dict(),
        categories=categories,
        source_categories=spec.categories,
        keypoint_names=keypoints,
        source_keypoint_names=spec.keypoint_names,
    )
    say(f"Starting from {spec.file_name}: {report}.")
    return module, spec.file_name


def _sized(augmentation: Augmentation, module: nn.Module) -> Augmentation:
    """Sets the recipe's image sizes to a range around the model's own size."""
    transform: Any = module.transform
    if augmentation.min_size is not None:
        return augmentation
    # A model of a fixed size resizes every image, so larger images would bring no gain.
    shorter, longer = (transform.min_size[-1], transform.max_size) if transform.fixed_size is None else (min(transform.fixed_size),) * 2
    low, high = (round(scale * shorter) for scale in _SCALES)
    return replace(augmentation, min_size=(low, high), max_size=round(max(_SCALES[1] * longer, _LONGEST * high)))
