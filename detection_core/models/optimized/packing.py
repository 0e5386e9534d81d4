"""Convolutions keep their weights in the order in which oneDNN reads them.

oneDNN cuts weights into blocks that suit the image's size and the number of threads, and does so anew at each call, which takes a
quarter of a light network's time. `OneDnnConvolution` keeps those of the last size beside the weights. Reference: "Memory Format
Propagation" in oneDNN's developer guide; torch's own compiler does the same when it freezes a network.
"""

from __future__ import annotations

from torch import nn
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
from torchvision.models.detection.ssd import SSD

from detection_core.models.optimized.convolution import OneDnnConvolution, through_onednn


def pack_weights(module: nn.Module) -> None:
    """Lets convolutions keep blocks, in place, where an image of the same size brings the same sizes of maps.

    In R-CNN's heads they depend on the number of objects; and those of RetinaNet and FCOS go over five maps, for each of which blocks would
    take as much memory as the weights themselves.

    Args:
        module: A detector in evaluation mode on the CPU.
    """
    sizes = {"backbone": 1}
    if isinstance(module, SSD):
        sizes["head"] = 1
    elif isinstance(module, GeneralizedRCNN):
        sizes["rpn.head"] = len(module.rpn.anchor_generator.sizes)
    for name, part in module.named_modules():
        for conv in part.modules() if name in sizes else ():
            if through_onednn(conv):
                conv.packs = sizes[name]


def packed_size(module: nn.Module) -> int:
    """Bytes that blocks of a module's weights take, beside the weights; or will, once it has run with one number of threads."""
    packing = [conv for conv in module.modules() if isinstance(conv, OneDnnConvolution) and conv.packs]
    return sum(max(conv.weight.nbytes * conv.packs, conv.packed_bytes) for conv in packing)
