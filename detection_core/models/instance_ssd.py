"""An SSD with sigmoid scores and with heads for masks of all classes and keypoints of some."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, smooth_l1_loss
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.keypoint_rcnn import KeypointRCNNPredictor
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.roi_heads import heatmaps_to_keypoints, keypointrcnn_loss, maskrcnn_loss
from torchvision.models.detection.ssd import SSD
from torchvision.ops import Conv2dNormActivation, FeaturePyramidNetwork, MultiScaleRoIAlign, batched_nms, box_iou, clip_boxes_to_image

from detection_core.models.families import Task

_PYRAMID_CHANNELS = 64
_MASK_LAYERS = 4
_KEYPOINT_CHANNELS = 96
_KEYPOINT_LAYERS = 4
# A detector's boxes are slightly off, so the heads are trained on boxes with this much noise, as a share of a side.
_BOX_NOISE = 0.08


class InstanceHeads(nn.Module):
    """Finds masks for all classes, and keypoints for some, inside given boxes.

    On a feature pyramid (Lin et al. 2017) over the backbone's maps run narrow versions of Mask R-CNN's mask head, with one output for
    all classes, and of its keypoint head.

    Args:
        channels: Channels of the backbone's maps by name, finest first. Boxes are pooled from all levels but the coarsest.
        masks: Whether there is a mask head.
        num_keypoints: Keypoints of an object, or 0 for no keypoint head.
        keypoint_labels: The classes that have keypoints.
    """

    def __init__(
        self, channels: Mapping[str, int], *, masks: bool = True, num_keypoints: int = 0, keypoint_labels: Sequence[int] = (1,)
    ) -> None:
        super().__init__()
        self.keypoint_labels = tuple(keypoint_labels)
        self.levels = tuple(channels)
        self.pyramid = FeaturePyramidNetwork(list(channels.values()), _PYRAMID_CHANNELS, norm_layer=nn.BatchNorm2d)
        self.mask_roi_pool = _pooling(self.levels[:-1]) if masks else None
        if masks:
            self.mask_head = MaskRCNNHeads(_PYRAMID_CHANNELS, (_PYRAMID_CHANNELS,) * _MASK_LAYERS, dilation=1, norm_layer=nn.BatchNorm2d)
            self.mask_predictor = MaskRCNNPredictor(_PYRAMID_CHANNELS, _PYRAMID_CHANNELS, num_classes=1)
        self.keypoint_roi_pool = _pooling(self.levels[:-1]) if num_keypoints else None
        if num_keypoints:
            self.keypoint_head = nn.Sequential(
                *(
                    Conv2dNormActivation(before, _KEYPOINT_CHANNELS, kernel_size=3)
                    for before in (_PYRAMID_CHANNELS, *[_KEYPOINT_CHANNELS] * (_KEYPOINT_LAYERS - 1))
                )
            )
            self.keypoint_predictor = KeypointRCNNPredictor(_KEYPOINT_CHANNELS, num_keypoints)

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The heads in use, of "masks" and "keypoints"; as in torchvision's R-CNNs, a head without its pooling is not used."""
        pools: dict[Task, Any] = {"masks": self.mask_roi_pool, "keypoints": self.keypoint_roi_pool}
        return tuple(task for task, pool in pools.items() if pool is not None)

    def have_keypoints(self, labels: Tensor) -> Tensor:
        """Returns whether objects of these classes have keypoints, bool [N]."""
        return torch.isin(labels, torch.tensor(self.keypoint_labels, device=labels.device))

    def maps(self, maps: dict[str, Tensor]) -> dict[str, Tensor]:
        """Computes the pyramid's maps, the input of `masks` and `keypoints`, from the backbone's."""
        found: dict[str, Tensor] = self.pyramid(OrderedDict((name, maps[name]) for name in self.levels))
        return found

    def masks(self, pyramid: dict[str, Tensor], boxes: list[Tensor], image_shapes: list[tuple[int, int]]) -> Tensor:
        """Computes the logits of masks.

        Args:
            pyramid: The result of `maps`.
            boxes: float32 [N,4] of each image, XYXY in pixels of the batch.
            image_shapes: (height, width) of each image in the batch.

        Returns:
            float32 [all N, 1, 28, 28], image after image.
        """
        assert self.mask_roi_pool is not None
        logits: Tensor = self.mask_predictor(self.mask_head(self.mask_roi_pool(pyramid, boxes, image_shapes)))
        return logits.float().contiguous()

    def keypoints(self, pyramid: dict[str, Tensor], boxes: list[Tensor], image_shapes: list[tuple[int, int]]) -> Tensor:
        """Computes the keypoint heat maps as logits, float32 [all N, K, 56, 56], from the same arguments as `masks`."""
        assert self.keypoint_roi_pool is not None
        logits: Tensor = self.keypoint_predictor(self.keypoint_head(self.keypoint_roi_pool(pyramid, boxes, image_shapes)))
        return logits.float().contiguous()


class InstanceSSD(SSD):
    """torchvision's SSD with independent sigmoid scores instead of a softmax, and with masks and keypoints as in the R-CNNs.

    Args:
        backbone: Returns feature maps by name.
        detection_levels: Names of the maps on which boxes are found, finest first.
        roi_heads: Finds masks and keypoints inside the boxes found.
        **options: The other arguments of `SSD`.
    """

    def __init__(self, backbone: nn.Module, *, detection_levels: Sequence[str], roi_heads: InstanceHeads, **options: Any) -> None:
        super().__init__(backbone, **options)
        self.detection_levels = tuple(detection_levels)
        self.roi_heads = roi_heads

    def forward(self, images: list[Tensor], targets: list[dict[str, Tensor]] | None = None) -> Any:
        """Keeps torchvision's contract.

        Args:
            images: float [3,H,W] in 0–1, of any size.
            targets: In training mode, torchvision's target dicts; `masks` uint8 [N,H,W] and `keypoints` float32 [N,K,3] may be missing;
                their heads then learn nothing.

        Returns:
            In training mode the losses `bbox_regression`, `classification` and, if the targets contain them, `loss_mask` and
            `loss_keypoint`; otherwise a list of dicts of `boxes`, `labels`, `scores`, `masks`, float32 [N,1,H,W] in 0–1, and, with a
            keypoint head, `keypoints` and `keypoints_scores`, which are NaN where an object's class has no keypoints.
        """
        if self.training:
            if targets is None:
                raise ValueError("In training mode the model needs targets.")
            return self._losses(images, targets)
        sizes = [(image.shape[-2], image.shape[-1]) for image in images]
        batch, _ = self.transform(images)
        return self.transform.postprocess(self.detect(batch), batch.image_sizes, sizes)

    def detect(self, batch: ImageList, tasks: Collection[Task] = ("boxes", "masks", "keypoints")) -> list[dict[str, Tensor]]:
        """Finds objects in images that have been resized and normalized.

        Args:
            batch: The result of `transform`.
            tasks: The tasks to run; boxes are always returned.

        Returns:
            torchvision's result of each image, in pixels of the batch; `masks`, if requested, float32 [N,1,28,28] on a grid over each box.
        """
        maps, outputs, anchors = self.predict(batch)
        results = self.postprocess_detections(outputs, anchors, batch.image_sizes)
        heads = self.roi_heads
        wanted = [task for task in tasks if task in heads.tasks]
        pyramid = heads.maps(maps) if wanted else {}
        if "masks" in wanted:
            boxes = [result["boxes"] for result in results]
            masks = heads.masks(pyramid, boxes, batch.image_sizes).sigmoid().split([len(own) for own in boxes])
            for result, own_masks in zip(results, masks, strict=True):
                result["masks"] = own_masks
        if "keypoints" in wanted:
            having = [heads.have_keypoints(result["labels"]) for result in results]
            boxes = [result["boxes"][have] for result, have in zip(results, having, strict=True)]
            heatmaps = heads.keypoints(pyramid, boxes, batch.image_sizes).split([len(own) for own in boxes])
            for result, have, own_maps, own_boxes in zip(results, having, heatmaps, boxes, strict=True):
                keypoints = result["boxes"].new_full((len(have), own_maps.shape[1], 3), math.nan)
                scores = keypoints[..., 0].clone()
                if len(own_boxes):
                    keypoints[have], scores[have] = self.points(own_maps, own_boxes)
                result["keypoints"], result["keypoints_scores"] = keypoints, scores
        return results

    def predict(self, batch: ImageList) -> tuple[dict[str, Tensor], dict[str, Tensor], list[Tensor]]:
        """Returns the backbone's maps, the head's `cls_logits` and `bbox_regression` [B,A,…], and the anchors [A,4] of each image."""
        maps: dict[str, Tensor] = self.backbone(batch.tensors)
        levels = [maps[name] for name in self.detection_levels]
        return maps, self.head(levels), self.anchor_generator(batch, levels)

    def points(self, heatmaps: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """Returns keypoints float32 [N,K,3] and their scores [N,K] from heat maps [N,K,H,W] over boxes [N,4]."""
        found: tuple[Tensor, Tensor] = heatmaps_to_keypoints(heatmaps, boxes)
        return found

    def scores(self, logits: Tensor) -> Tensor:
        """Converts an image's class logits [A, classes with background] to scores 0–1 [A, classes]; the first column is ignored."""
        return logits[:, 1:].sigmoid()

    def postprocess_detections(
        self, head_outputs: dict[str, Tensor], image_anchors: list[Tensor], image_shapes: list[tuple[int, int]]
    ) -> list[dict[str, Tensor]]:
        """Decodes boxes and suppresses duplicates; arguments and result are those of `SSD`."""
        found = []
        for logits, codes, anchors, shape in zip(
            head_outputs["cls_logits"], head_outputs["bbox_regression"], image_anchors, image_shapes, strict=True
        ):
            scores = self.scores(logits)
            boxes = clip_boxes_to_image(self.box_coder.decode_single(codes, anchors), shape)
            # The best candidates of each class that pass the threshold, in torchvision's order.
            best, places = scores.T.topk(min(self.topk_candidates, len(scores)))
            labels, ranks = torch.where(best > self.score_thresh)
            own_scores, own_boxes = best[labels, ranks], boxes[places[labels, ranks]]
            keep = batched_nms(own_boxes, own_scores, labels, self.nms_thresh)[: self.detections_per_img]
            found.append({"boxes": own_boxes[keep], "scores": own_scores[keep], "labels": labels[keep] + 1})
        return found

    def compute_loss(
        self,
        targets: list[dict[str, Tensor]],
        head_outputs: dict[str, Tensor],
        anchors: list[Tensor],
        matched_idxs: list[Tensor],
    ) -> dict[str, Tensor]:
        """Computes SSD's loss with a sigmoid per class instead of the softmax; arguments and result are those of `SSD`.

        Boxes are learned at the anchors matched to objects; classes are learned there and at the hardest negative anchors, three
        times as many (Liu et al., "SSD: Single Shot MultiBox Detector", section 2.2).
        """
        box_losses, class_losses, foreground = [], [], 0
        for index, (target, matched, own_anchors) in enumerate(zip(targets, matched_idxs, anchors, strict=True)):
            logits, codes = head_outputs["cls_logits"][index], head_outputs["bbox_regression"][index]
            positive = matched >= 0
            of_object = matched[positive]
            foreground += len(of_object)
            wanted = self.box_coder.encode_single(target["boxes"][of_object], own_anchors[positive])
            box_losses.append(smooth_l1_loss(codes[positive], wanted, reduction="sum"))
            truth = torch.zeros_like(logits)
            truth[positive, target["labels"][of_object]] = 1
            losses = binary_cross_entropy_with_logits(logits[:, 1:], truth[:, 1:], reduction="none").sum(dim=1)
            hard = losses[~positive].topk(min(int(self.neg_to_pos_ratio * len(of_object)), int((~positive).sum()))).values
            class_losses.append(losses[positive].sum() + hard.sum())
        count = max(1, foreground)
        return {"bbox_regression": torch.stack(box_losses).sum() / count, "classification": torch.stack(class_losses).sum() / count}

    def _losses(self, images: list[Tensor], targets: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        batch, targets = self.transform(images, targets)
        maps, outputs, anchors = self.predict(batch)
        matched = [self._match(target["boxes"], own) for target, own in zip(targets, anchors, strict=True)]
        losses = self.compute_loss(targets, outputs, anchors, matched)
        heads = self.roi_heads
        taught = [task for task in heads.tasks if all(task in target for target in targets)]
        pyramid = heads.maps(maps) if taught else {}
        # The heads learn from slightly moved ground-truth boxes rather than detected ones, so from the first batch on they see all objects.
        boxes = [noisy_boxes(target["boxes"], shape) for target, shape in zip(targets, batch.image_sizes, strict=True)]
        if "masks" in taught:
            any_class = [torch.zeros_like(target["labels"]) for target in targets]
            logits = heads.masks(pyramid, boxes, batch.image_sizes)
            losses["loss_mask"] = maskrcnn_loss(logits, boxes, [target["masks"] for target in targets], any_class, _own_indices(boxes))
        if "keypoints" in taught:
            having = [heads.have_keypoints(target["labels"]) for target in targets]
            boxes = [own[have] for own, have in zip(boxes, having, strict=True)]
            keypoints = [target["keypoints"][have] for target, have in zip(targets, having, strict=True)]
            heatmaps = heads.keypoints(pyramid, boxes, batch.image_sizes)
            losses["loss_keypoint"] = keypointrcnn_loss(heatmaps, boxes, keypoints, _own_indices(boxes))
        return losses

    def _match(self, boxes: Tensor, anchors: Tensor) -> Tensor:
        """Returns the index of each anchor's object, int64 [A], or -1."""
        if not len(boxes):
            return torch.full((len(anchors),), -1, dtype=torch.int64, device=anchors.device)
        matched: Tensor = self.proposal_matcher(box_iou(boxes, anchors))
        return matched


def _pooling(levels: Sequence[str]) -> MultiScaleRoIAlign:
    return MultiScaleRoIAlign(list(levels), output_size=14, sampling_ratio=2)


def _own_indices(boxes: list[Tensor]) -> list[Tensor]:
    """Returns indices that assign each box to the object of the same index."""
    return [torch.arange(len(own), device=own.device) for own in boxes]


def noisy_boxes(boxes: Tensor, image_shape: tuple[int, int]) -> Tensor:
    """Moves the sides of boxes [N,4] by noise from torch's generator, within an image of (height, width)."""
    sides = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
    moved = clip_boxes_to_image(boxes + _BOX_NOISE * sides * torch.randn_like(boxes), image_shape)
    there = (moved[:, 2:] - moved[:, :2] > 1).all(dim=1, keepdim=True)
    return torch.where(there, moved, boxes)
