from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from detection_core.architectures import person_mobilenet_v2_fpn
from detection_core.coco_data import Augmentation
from detection_core.train import Recipe, _schedule, _weighted_sum, export_weights, train

RECIPE = Recipe(steps=2, batch_size=1, warmup=1, box_batch_size_per_image=8, augmentation=Augmentation(min_size=(64, 64), max_size=96))


def coco_folder(folder, *, has_masks: bool):
    """A COCO folder with two photos of one person each."""
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    images, annotations = [], []
    for number in (1, 2):
        Image.fromarray(rng.integers(0, 255, (64, 80, 3), dtype=np.uint8)).save(folder / "images" / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": 80, "height": 64, "has_masks": has_masks})
        joints = np.column_stack([np.linspace(22, 48, 17), np.linspace(12, 48, 17), np.full(17, 2)]).ravel().tolist()
        annotation = {
            "id": number,
            "image_id": number,
            "category_id": 1,
            "bbox": [20, 10, 30, 40],
            "num_keypoints": 17,
            "keypoints": joints,
        }
        if has_masks:
            annotation["segmentation"] = [[20, 10, 50, 10, 50, 50, 20, 50]]
        annotations.append(annotation)
    (folder / "annotations.json").write_text(json.dumps({"images": images, "annotations": annotations}))
    return folder


@pytest.fixture
def data(tmp_path):
    return coco_folder(tmp_path / "data", has_masks=True)


def load(path):
    return torch.load(path, weights_only=True)


@pytest.mark.parametrize("has_masks", [True, False], ids=["with masks", "without masks"])
def test_writes_a_checkpoint_whose_weights_have_moved(tmp_path, has_masks):
    folder = coco_folder(tmp_path / "data", has_masks=has_masks)
    out = tmp_path / "out.pt"
    train([folder], out, RECIPE)
    torch.manual_seed(RECIPE.seed)
    start = person_mobilenet_v2_fpn(box_batch_size_per_image=8).state_dict()
    checkpoint = load(out)
    assert checkpoint["step"] == 2
    moved = {name for name, value in checkpoint["model"].items() if not torch.equal(value, start[name])}
    assert any(name.startswith("roi_heads.keypoint_head") for name in moved)
    assert any(name.startswith("roi_heads.mask_head") for name in moved) == has_masks
    assert not any(name.startswith("backbone.body.2.") for name in moved)


def test_people_unlabelled_in_partial_data_teach_nothing_about_the_background(tmp_path, monkeypatch):
    seen: list[set[str]] = []

    def spy(losses, recipe):
        seen.append(set(losses))
        return _weighted_sum(losses, recipe)

    monkeypatch.setattr("detection_core.train._weighted_sum", spy)
    train([], tmp_path / "out.pt", RECIPE, partial=[coco_folder(tmp_path / "partial", has_masks=False)])
    assert seen == [{"loss_rpn_box_reg", "loss_box_reg", "loss_keypoint"}] * 2


def test_resume_goes_on_where_it_stopped(tmp_path, data, monkeypatch):
    out = tmp_path / "out.pt"
    train([data], out, RECIPE)
    before = load(out)
    batches = []
    monkeypatch.setattr("detection_core.train._weighted_sum", lambda *args: batches.append(1) or _weighted_sum(*args))
    # At this rate the weights stand still, so that they tell where the run began.
    train([data], out, replace(RECIPE, steps=3, lr=0.0), resume=True)
    after = load(out)
    assert len(batches) == 1
    assert after["step"] == 3
    assert optimizer_steps(before) == {2}
    assert optimizer_steps(after) == {3}
    assert all(torch.equal(value, before["model"][name]) for name, value in after["model"].items())


def optimizer_steps(checkpoint):
    return {int(state["step"]) for state in checkpoint["optimizer"]["state"].values()}


def test_exports_the_average_as_a_small_file(tmp_path, data):
    out, exported = tmp_path / "out.pt", tmp_path / "weights.pth"
    train([data], out, RECIPE)
    export_weights(out, exported)
    average, state = load(out)["average"], load(exported)
    assert state.keys() == average.keys()
    assert {value.dtype for value in state.values()} == {torch.float16}
    assert exported.stat().st_size < 16 * 2**20


def test_the_schedule_warms_up_and_cools_down():
    recipe = Recipe(steps=100, warmup=10)
    rates = [_schedule(step, recipe) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == pytest.approx(1)
    assert rates.index(max(rates)) in (9, 10)
    assert all(a >= b for a, b in itertools.pairwise(rates[10:]))
    assert rates[-1] == pytest.approx(0.02)
    assert math.isfinite(sum(rates))
