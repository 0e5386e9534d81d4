"""Measures other projects' detectors for comparison, if installed: Ultralytics' smallest with random weights, beside our lightest."""

from __future__ import annotations

from functools import partial
from importlib import import_module

import numpy as np
import torch
from PIL import Image

from benchmarks.common import interleaved, markdown_table
from benchmarks.subjects import stock_module
from detection_core.models.catalog import get_model_spec
from detection_core.models.detector import run
from detection_core.models.optimized import optimize

_PEERS = ("yolo11n", "yolo26n")
_OURS = ("ssdlite320_mobilenet_v3_large", "fasterrcnn_mobilenet_v3_large_320_fpn", "fasterrcnn_mobilenet_v3_large_fpn")
_SIDES = (320, 640)
_MISSING = (
    "Ultralytics is not installed and is left out: `pip install ultralytics` in a separate environment. It is under the AGPL and not a "
    "dependency of this project."
)


def measured_table(image: Image.Image, rounds: int) -> str:
    """Returns a Markdown table of interleaved times from pixels to boxes, or a line that says what is missing."""
    try:
        yolo = import_module("ultralytics").YOLO
    except ImportError:
        return _MISSING
    pixels, cpu = np.asarray(image), torch.device("cpu")
    actions = {}
    for key in _OURS:
        spec = get_model_spec(key)
        actions[f"{key}, exact"] = partial(run, optimize(stock_module(spec, pixels)), spec, [pixels], cpu)
    threads = torch.get_num_threads()
    for name in _PEERS:
        model = yolo(f"{name}.yaml")
        for side in _SIDES:
            actions[f"{name}, {side} px"] = partial(model.predict, pixels[..., ::-1], imgsz=side, device="cpu", verbose=False)
    for action in actions.values():
        action()
    # Its first prediction sets its own number of threads.
    torch.set_num_threads(threads)
    seconds = interleaved(list(actions.values()), rounds)
    rows = [[name, f"{min(own) * 1e3:.1f} / {np.median(own) * 1e3:.1f}"] for name, own in zip(actions, seconds, strict=True)]
    return markdown_table(["model", "detection, ms"], rows)
