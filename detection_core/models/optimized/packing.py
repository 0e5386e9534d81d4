"""Caches the weights of convolutions in the order in which oneDNN reads them.

oneDNN packs weights into blocks that depend on the image's size and the number of threads, and repeats this at each call, which
takes a quarter of a light network's time. `OneDnnConvolution` caches the blocks of the last size. Reference: "Memory Format
Propagation" in oneDNN's developer guide; torch's own compiler does the same when it freezes a network.
"""

from __future__ import annotations

from torch import nn
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
from torchvision.models.detection.ssd import SSD

from detection_core.models.optimized.convolution import OneDnnConvolution, through_onednn


def pack_weights(module: nn.Module) -> None:
    """Lets convolutions cache packed weights, in place, if their maps' sizes depend only on the image's size.

    In the R-CNNs' heads they depend on the number of objects; and the heads of RetinaNet and FCOS run on five maps, for each of which the
    blocks would take as much memory as the weights themselves.

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
    """Returns the bytes that a module's packed weights take in addition, or will take after a run with one number of threads."""
    packing = [conv for conv in module.modules() if isinstance(conv, OneDnnConvolution) and conv.packs]
    return sum(max(conv.weight.nbytes * conv.packs, conv.packed_bytes) for conv in packing)
