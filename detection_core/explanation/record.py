"""The recording of what happened inside a model on one image, as plain NumPy arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detection_core.detections import Detections
from detection_core.explanation.selection import Candidates, Rules, Selection
from detection_core.models.spec import ModelSpec
from detection_core.slicing import Tile


@dataclass(frozen=True, eq=False)
class Level:
    """One level of feature maps.

    Attributes:
        name: Its name in the model, such as "0" or "pool".
        shape: (height, width) in cells.
        energy: float32 [h,w], the root mean square of the features over the channels; at most 128 cells a side, averaged.
        heat: float32 [h,w], the best score of any class, or for two-stage models the best objectness, at most 128 cells a side, the
            maximum of those that share a cell.
    """

    name: str
    shape: tuple[int, int]
    energy: NDArray[np.float32]
    heat: NDArray[np.float32]


@dataclass(frozen=True)
class Step:
    """One step of the computation.

    Attributes:
        name: "resize", "backbone", "head", "rpn", "box head" or "the rest".
        seconds: How long it took.
    """

    name: str
    seconds: float


@dataclass(frozen=True, eq=False)
class Proposals:
    """What happened in a two-stage model's region proposal network (RPN). Index n of its candidates is anchor n.

    Attributes:
        anchors: float32 [A,4], XYXY in pixels of the network's input.
        candidates: The A boxes that it made of them, with their objectness as scores.
        rules: Its settings.
        selection: What became of them; `selection.kept` are the anchors of the proposals, in the proposals' order.
    """

    anchors: NDArray[np.float32]
    candidates: Candidates
    rules: Rules
    selection: Selection


@dataclass(frozen=True, eq=False)
class Places:
    """The P places at which the model predicted classes: anchors, or proposals in two-stage models.

    Attributes:
        sources: float32 [P,4], the anchors or proposals, XYXY in pixels of the network's input.
        boxes: float32 [P,4], the box of the best class at each place, clipped to the image.
        labels: int16 [P], the best class, which is never the background.
        scores: float32 [P], its score.
        levels: int8 [P], the feature levels of anchors; 0 for proposals.
        background: float32 [P], the score of the background where classes compete with it (softmax), or None.
    """

    sources: NDArray[np.float32]
    boxes: NDArray[np.float32]
    labels: NDArray[np.int16]
    scores: NDArray[np.float32]
    levels: NDArray[np.int8]
    background: NDArray[np.float32] | None


@dataclass(frozen=True, eq=False)
class Recording:
    """What happened inside a model on one image. All boxes are in pixels of the network's input; see `in_image`.

    A recording takes a few megabytes: about 20 with a quarter of a million anchors (Faster R-CNN as it was trained), and 48 at the largest
    input size. Of the classes at all places, only the best 50,000 candidates are kept, and all that go on to NMS.

    Attributes:
        spec: The model, in the stock precision.
        image_size: (height, width) of the image.
        network_size: (height, width) of the image as the network sees it, without padding.
        padded_size: The same with padding, which the levels' maps cover.
        network_image: uint8 [h,w,3], the image as the network sees it, at most 640 pixels a side.
        levels: The feature levels, finest first.
        steps: The steps of the computation with their times.
        proposals: The first stage, or None for one-stage models.
        places: The places at which the model predicted classes.
        candidates: Classes at these places, place after place; see `lowest_kept`.
        lowest_kept: Lowest score above which all candidates are in `candidates`.
        rules: The model's settings.
        selection: What became of the candidates; `selection.kept` are the detections, in their order.
        detections: The result of torchvision's own module.
        notes: Sentences about how this result relates to that of detection.
        tile: The slice of the image that was explained, or None for the whole image.
    """

    spec: ModelSpec
    image_size: tuple[int, int]
    network_size: tuple[int, int]
    padded_size: tuple[int, int]
    network_image: NDArray[np.uint8]
    levels: tuple[Level, ...]
    steps: tuple[Step, ...]
    proposals: Proposals | None
    places: Places
    candidates: Candidates
    lowest_kept: float
    rules: Rules
    selection: Selection
    detections: Detections
    notes: tuple[str, ...] = ()
    tile: Tile | None = None

    @property
    def region(self) -> Tile:
        """The part of the image that the model saw."""
        return self.tile or Tile(0, 0, self.image_size[1], self.image_size[0])

    @property
    def region_size(self) -> tuple[int, int]:
        """(height, width) of that part."""
        return self.region.y1 - self.region.y0, self.region.x1 - self.region.x0

    @property
    def scale(self) -> NDArray[np.float32]:
        """The factors from the network's input to pixels of the image, float32 [4], one for each side of a box."""
        (height, width), (network_height, network_width) = self.region_size, self.network_size
        # Computed as in torchvision's `resize_boxes`, so that boxes are equal to the last bit.
        ratios = np.float32(width) / np.float32(network_width), np.float32(height) / np.float32(network_height)
        return np.array(ratios * 2, np.float32)

    def in_image(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Converts boxes [N,4] from pixels of the network's input to pixels of the image."""
        corner = np.array(self.region[:2], np.float32)
        moved: NDArray[np.float32] = boxes * self.scale + np.tile(corner, 2)
        return moved

    def name(self, label: int) -> str:
        """Returns the name of a class."""
        return self.spec.categories[label]

    def of_place(self, place: int) -> slice:
        """Returns which of the candidates belong to a place; they are sorted by place."""
        first, last = np.searchsorted(self.candidates.places, [place, place + 1])
        return slice(int(first), int(last))
