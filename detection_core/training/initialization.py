"""Initializes a training: takes over the matching weights of another model, and freezes layers of the backbone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

# The layers of torchvision's detectors whose size depends on the classes; in SSDlite the last of two in every block.
_CLASS_LAYER = re.compile(
    r"roi_heads\.box_predictor\.(cls_score|bbox_pred)\.(weight|bias)"
    r"|roi_heads\.mask_predictor\.mask_fcn_logits\.(weight|bias)"
    r"|head\.classification_head\.(cls_logits|module_list\.\d+(\.1)?)\.(weight|bias)"
)
_KEYPOINT_LAYER = re.compile(r"roi_heads\.keypoint_predictor\.kps_score_lowres\.(weight|bias)")
_RCNN_BOX_LAYER = "roi_heads.box_predictor.bbox_pred."
# torch sets a missing count to 0; it counts neither as taken nor as missing.
_COUNT = ".num_batches_tracked"
# If the weights fill less than this share of a model's tensors, they belong to another architecture.
_LEAST_PART = 0.5
_ADVICE = "Choose weights of the same model, or start without them."
_NAMES_SHOWN = 6


@dataclass(frozen=True)
class Report:
    """The result of `transfer`.

    Attributes:
        taken: Number of tensors filled from the weights, at least for one class or keypoint.
        total: Number of tensors of the model, without the norms' batch counts.
        classes: Classes in both models, without the background.
        new_classes: Classes that are missing in the weights; their rows of the last layers are random.
        keypoints: Keypoints in both models.
        new_keypoints: Keypoints that are missing in the weights.
        fresh: Layers that keep their random initialization, except for the background.
        unused: Tensors of the weights that the model does not have.
    """

    taken: int
    total: int
    classes: tuple[str, ...]
    new_classes: tuple[str, ...]
    keypoints: tuple[str, ...]
    new_keypoints: tuple[str, ...]
    fresh: tuple[str, ...]
    unused: tuple[str, ...]

    def __str__(self) -> str:
        """Formats the report in one line; long lists are shortened."""
        parts = {
            "known classes": self.classes,
            "new classes": self.new_classes,
            "known keypoints": self.keypoints,
            "new keypoints": self.new_keypoints,
            "layers started afresh": self.fresh,
            "weights without a place": self.unused,
        }
        return "; ".join(
            [f"{self.taken} of {self.total} tensors taken", *(f"{title}: {_shown(names)}" for title, names in parts.items() if names)]
        )


def transfer(
    module: nn.Module,
    state: Mapping[str, Tensor],
    *,
    categories: Sequence[str],
    source_categories: Sequence[str],
    keypoint_names: Sequence[str] = (),
    source_keypoint_names: Sequence[str] = (),
) -> Report:
    """Copies the weights of a trained detector to a new one that may have other classes and keypoints.

    Layers that do not depend on the classes are copied if name and shape agree. In those that do, each class of the same name
    (ignoring case) gets its own weights, including the background; other classes keep their random initialization. The names of
    older torchvision versions are supported. With the same classes and keypoints this is `load_state_dict`.

    Args:
        module: The new detector, freshly initialized, of the same builder as the trained one; changed in place.
        state: The trained detector's state dict, of any floating-point type.
        categories: Class names by label of the new detector, the background first.
        source_categories: Class names by label of the trained one, the background first.
        keypoint_names: Keypoint names by index of the new detector; empty if it has none or they are unknown.
        source_keypoint_names: Keypoint names by index of the trained one.

    Returns:
        A report of the weights that were copied and those that were not.

    Raises:
        ValueError: If the weights belong to another architecture, or the class or keypoint names do not match the layers. The module
            must then not be used.
    """
    own = module.state_dict()
    classes = _matches(categories, source_categories)
    keypoints = _matches(keypoint_names, source_keypoint_names)
    adapted = {name: tensor for name, tensor in state.items() if name not in own}
    for name, tensor in own.items():
        source = state.get(name)
        if source is not None and _is_class_layer(name, tensor):
            source = _rows_by_name(name, tensor, source, len(categories), len(source_categories), classes, "classes")
        elif source is not None and _KEYPOINT_LAYER.fullmatch(name):
            source = _rows_by_name(name, tensor, source, len(keypoint_names), len(source_keypoint_names), keypoints, "keypoints")
        if source is not None and source.shape == tensor.shape:
            adapted[name] = source
    try:
        # torchvision's modules rename the parameters of older versions, and ignore counts that frozen norms do not have.
        missing, unexpected = module.load_state_dict(adapted, strict=False)
    except RuntimeError as error:
        raise ValueError(f"The weights belong to another architecture. {_ADVICE}") from error
    total = [name for name in own if not name.endswith(_COUNT)]
    fresh = [name for name in total if name in missing or _is_fresh(name, own[name], classes, keypoints)]
    taken = len(total) - len(fresh)
    if taken < _LEAST_PART * len(total):
        raise ValueError(f"The weights belong to another architecture: they fill {taken} of the model's {len(total)} tensors. {_ADVICE}")
    return Report(
        taken=taken,
        total=len(total),
        classes=_named(categories, set(classes) - {0}),
        new_classes=_named(categories, set(range(len(categories))) - set(classes)),
        keypoints=_named(keypoint_names, keypoints),
        new_keypoints=_named(keypoint_names, set(range(len(keypoint_names))) - set(keypoints)),
        fresh=tuple(dict.fromkeys(name.rpartition(".")[0] for name in fresh)),
        unused=(*unexpected, *(name for name in state if name in own and name not in adapted)),
    )


def freeze_backbone(module: nn.Module, trainable_layers: int) -> None:
    """Freezes the first stages of a detector's backbone by the rule of torchvision's builders.

    The builders freeze layers only when they load the weights themselves, so without weights all layers train. What torchvision adds to the
    backbone (the feature pyramid, SSD's extra layers) always trains.

    Args:
        module: A detector on a ResNet, MobileNet or VGG; changed in place.
        trainable_layers: Stages to train, counted from the last: 0 to 5, or 6 on a MobileNet. torchvision's defaults are 3 for ResNet
            and for Faster R-CNN on MobileNetV3, 4 for SSD and 6 for SSDlite.

    Raises:
        ValueError: If there are fewer stages.
    """
    stages = _stages(module.get_submodule("backbone"))
    if not 0 <= trainable_layers <= len(stages):
        raise ValueError(f"This model's backbone has {len(stages)} stages: train 0 to {len(stages)} of them, not {trainable_layers}.")
    for stage in stages[: len(stages) - trainable_layers]:
        for layer in stage:
            layer.requires_grad_(False)


def _matches(names: Sequence[str], source_names: Sequence[str]) -> dict[int, int]:
    """Maps indices of our names to indices of the source's; repeated names are matched in order."""
    left = list(enumerate(source_names))
    found = {}
    for index, name in enumerate(names):
        match = next((entry for entry in left if entry[1].casefold() == name.casefold()), None)
        if match is not None:
            left.remove(match)
            found[index] = match[0]
    return found


def _rows_by_name(
    name: str, own: Tensor, source: Tensor, count: int, source_count: int, matches: Mapping[int, int], things: str
) -> Tensor | None:
    """Copies the source's rows for shared names into our tensor of a last layer; None if more than the number of rows differs.

    The rows are grouped by anchor, then by class, then by coordinate; a transposed convolution has them in its second dimension.
    """
    axis = 1 if _KEYPOINT_LAYER.fullmatch(name) and own.ndim > 1 else 0
    coordinates = 4 if name.startswith(_RCNN_BOX_LAYER) else 1
    for tensor, number, which in ((own, count, "new model's"), (source, source_count, "weights'")):
        if number and tensor.shape[axis] % (number * coordinates):
            raise ValueError(f"The {which} layer {name} has {tensor.shape[axis]} rows, which does not fit {number} {things}.")
    if not matches:
        return own
    ours = own.unflatten(axis, (-1, count, coordinates))
    theirs = source.unflatten(axis, (-1, source_count, coordinates))
    if _without(ours.shape, axis + 1) != _without(theirs.shape, axis + 1):
        return None
    here, there = (torch.tensor(list(indices), device=own.device) for indices in (matches.keys(), matches.values()))
    rows = theirs.to(ours).index_select(axis + 1, there)
    result: Tensor = ours.index_copy(axis + 1, here, rows).flatten(axis, axis + 2)
    return result


def _without(shape: Sequence[int], axis: int) -> tuple[int, ...]:
    return (*shape[:axis], *shape[axis + 1 :])


def _is_class_layer(name: str, tensor: Tensor) -> bool:
    """Returns whether a layer has rows for each class; a class-agnostic mask head has only one row."""
    return bool(_CLASS_LAYER.fullmatch(name)) and len(tensor) > 1


def _is_fresh(name: str, tensor: Tensor, classes: Iterable[int], keypoints: Iterable[int]) -> bool:
    """Returns whether a last layer was not filled, or only for the background."""
    if _is_class_layer(name, tensor):
        return not set(classes) - {0}
    return bool(_KEYPOINT_LAYER.fullmatch(name)) and not set(keypoints)


def _named(names: Sequence[str], indices: Iterable[int]) -> tuple[str, ...]:
    return tuple(names[index] for index in sorted(indices))


def _shown(names: Sequence[str]) -> str:
    hidden = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {hidden} more" if hidden > 0 else "")


def _stages(backbone: nn.Module) -> list[list[nn.Module]]:
    """Returns the layers of a backbone by stage, in forward order, as torchvision divides them."""
    body = getattr(backbone, "body", backbone)
    layers = dict(body.named_children())
    if "layer4" in layers:
        return [[layers["conv1"], layers["bn1"]], *([layers[f"layer{number}"]] for number in range(1, 5))]
    if "scale_weight" in dict(body.named_parameters(recurse=False)):
        # SSD's VGG continues in the first extra block, whose last part is not pretrained.
        blocks = [[layer] for layer in (*layers["features"], *list(layers["extra"][0])[:-1])]
        return _cut(blocks, [0, *(index for index, (layer,) in enumerate(blocks) if isinstance(layer, nn.MaxPool2d))])
    if "extra" in layers:
        # SSDlites' MobileNets are cut within blocks that open a stage.
        blocks, cuts = [], []
        for part in layers["features"]:
            first, *others = part
            if blocks:
                cuts.append(len(blocks) - 1)
                blocks[-1].append(first)
            else:
                blocks.append([first])
            blocks += [[layer] for layer in others]
        return _cut(blocks, sorted({0, *_strided(blocks), *cuts, len(blocks) - 1}))
    blocks = [[layer] for layer in layers.values()]
    return _cut(blocks, [0, *_strided(blocks), len(blocks) - 1])


def _strided(blocks: list[list[nn.Module]]) -> list[int]:
    """Returns the indices at which torchvision's MobileNets halve the resolution."""
    return [index for index, block in enumerate(blocks) if getattr(block[0], "_is_cn", False)]


def _cut(blocks: list[list[nn.Module]], starts: list[int]) -> list[list[nn.Module]]:
    ends = [*starts[1:], len(blocks)]
    return [[layer for block in blocks[start:end] for layer in block] for start, end in zip(starts, ends, strict=True)]
