"""Everything that decides the outcome of a training run: plain numbers, so that nothing heavy is imported to read them."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Augmentation:
    """What may happen to a training image. Sizes are pixels of the tensor that the model is given.

    Attributes:
        min_size: Range from which the shorter side's length is drawn; None leaves the scale alone, for the model's own resizing.
        max_size: Bound on the longer side, where `min_size` is given.
        crop: Probability that only a part of the image is taken.
        min_crop: Smallest part of either side that a crop keeps, 0–1.
        background: Probability that, where there is room, the crop shows no object: images chosen for their objects hold few of the
            things that are mistaken for them. Never on images that are only partly labeled.
        stretch: Aspect ratios are multiplied by a factor from `1 / stretch` to `stretch`.
        flip: Probability of a mirror image.
        photometric: Brightness, contrast and saturation change by up to this fraction.
        hue: Hues turn by up to this part of the color circle, 0–0.5.
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
        """Nothing happens: all pixels and all objects, as for an evaluation."""
        return Augmentation(min_size=None, crop=0, stretch=1, flip=0, photometric=0, hue=0, min_box_side=0)


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the outcome of a training run; stored with its result.

    Attributes:
        epochs: How often every image is seen.
        batch_size: Images a batch, of each process.
        lr: Highest learning rate of AdamW, reached after the warm-up; a half cosine takes it down to 2 %.
        backbone_lr: The backbone's learning rate as a part of `lr`: it comes trained, the new heads do not.
        warmup: Batches over which the learning rate rises.
        weight_decay: AdamW's.
        trainable_layers: Stages of the backbone that learn, counted from the last, as torchvision's builders have it. None is torchvision's
            default for the model, or all of them where nothing is trained yet.
        max_gradient_norm: Longer gradients are scaled down to it.
        average: Batches over which the weights are averaged exponentially; the average is what is measured and kept. 0 for none.
        loss_weights: Factors of losses by torchvision's names, where they are not 1.
        repeat_masks: How often images with masks are seen an epoch where others have none.
        proposals: Boxes of each image that the heads of a two-stage detector learn from, a quarter of them of objects where there are as
            many; what a batch costs is mostly theirs. With fewer, more of them are objects, and all scores rise. None is the model's own
            number, in torchvision's 512.
        bf16: Compute backbone and heads in bfloat16.
        seed: Of weights that start anew, the order of images, their augmentation and the sampling of proposals.
        augmentation: What happens to images; a `min_size` of None is replaced by sizes around the model's own.
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
