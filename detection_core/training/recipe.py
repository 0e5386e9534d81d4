"""The settings that determine the outcome of a training run, as plain numbers; importing this module loads nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Augmentation:
    """The random changes to a training image. Sizes are in pixels of the model's input tensor.

    Attributes:
        min_size: Range from which the shorter side's length is drawn; None leaves the scaling to the model.
        max_size: Bound on the longer side if `min_size` is given.
        crop: Probability of a crop.
        min_crop: Smallest part of either side that a crop keeps, 0–1.
        background: Probability that the crop shows no object, if there is room for one: images chosen for their objects contain few
            hard negatives. Not applied to partly labeled images.
        stretch: Aspect ratios are multiplied by a factor from `1 / stretch` to `stretch`.
        flip: Probability of a mirror image.
        photometric: Brightness, contrast and saturation change by up to this fraction.
        hue: Hues change by up to this fraction of the color circle, 0–0.5.
        min_box_side: Objects whose box ends up narrower or lower than this are left out.
    """

    min_size: tuple[int, int] | None = (256, 352)
    max_size: int = 448
    crop: float = 0.5
    min_crop: float = 0.5
    background: float = 0.0
    stretch: float = 1.15
    flip: float = 0.5
    photometric: float = 0.3
    hue: float = 0.02
    min_box_side: float = 3.0

    @staticmethod
    def none() -> Augmentation:
        """Returns an augmentation without changes: all pixels and all objects, as for an evaluation."""
        return Augmentation(min_size=None, crop=0, stretch=1, flip=0, photometric=0, hue=0, min_box_side=0)


@dataclass(frozen=True)
class Recipe:
    """The settings that determine the outcome of a training run; stored with its result.

    Attributes:
        epochs: Number of passes through the images.
        batch_size: Images per batch in each process.
        lr: Highest learning rate of AdamW, reached after the warm-up; a half cosine takes it down to 2 %.
        backbone_lr: The backbone's learning rate as a fraction of `lr`: the backbone is pretrained, the new heads are not.
        warmup: Batches over which the learning rate rises.
        weight_decay: Weight decay of AdamW.
        trainable_layers: Stages of the backbone to train, counted from the last, as in torchvision's builders. None is torchvision's
            default for the model, or all of them if the backbone is not pretrained.
        max_gradient_norm: Longer gradients are scaled down to it.
        average: Batches over which the weights are averaged exponentially; the average is measured and saved. 0 for none.
        loss_weights: Factors of losses by torchvision's names; 1 for the others.
        repeat_masks: How often images with masks are repeated per epoch if others have none.
        proposals: Boxes per image on which the heads of a two-stage detector are trained, up to a quarter of them on objects; they are
            most of a batch's cost. With fewer, the share of objects grows, and all scores rise. None is the model's own number, 512 in
            torchvision's.
        bf16: Compute backbone and heads in bfloat16.
        seed: Seed of random weights, the order of images, their augmentation and the sampling of proposals.
        augmentation: The random changes to images; a `min_size` of None is replaced by sizes around the model's own.
    """

    epochs: int = 12
    batch_size: int = 4
    lr: float = 2e-4
    backbone_lr: float = 0.25
    warmup: int = 100
    weight_decay: float = 1e-4
    trainable_layers: int | None = None
    max_gradient_norm: float = 5.0
    average: int = 200
    loss_weights: dict[str, float] = field(default_factory=dict)
    repeat_masks: int = 1
    proposals: int | None = None
    bf16: bool = False
    seed: int = 0
    augmentation: Augmentation = field(default_factory=lambda: Augmentation(min_size=None))
