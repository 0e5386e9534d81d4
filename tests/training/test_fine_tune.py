from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from PIL import Image
from torchvision.models import mobilenet_v2
from torchvision.models.detection import roi_heads

from detection_core.datasets.coco import DataError
from detection_core.datasets.preparation import InvalidDataError, TrainingData
from detection_core.evaluation import Evaluation
from detection_core.models.builders import BUILDERS, detector_on_backbone
from detection_core.models.catalog import COCO_MODEL, get_model_spec
from detection_core.models.checkpoint import CheckpointError, read_checkpoint
from detection_core.models.detector import Detector
from detection_core.models.user_models import read_model_spec
from detection_core.training import TrainingError
from detection_core.training.fine_tune import train
from detection_core.training.interruption import TrainingInterrupted
from detection_core.training.recipe import Augmentation, Recipe
from tests.coco_folders import KEYPOINT_NAMES, coco_folder

ROOT = Path(__file__).parents[2]
# What a run does is the same for every model, and this one takes a quarter of the time of the lightest that we ship.
MODEL = "fasterrcnn_tiny"
SHIPPED = "fasterrcnn_mobilenet_v2_fpn"
QUICK = Recipe(epochs=2, batch_size=2, warmup=2, average=4, trainable_layers=2, augmentation=Augmentation(min_size=(64, 72), max_size=96))


def run(data, out, *, model=MODEL, recipe=QUICK, lines=None, **options):
    options = {"init": "random", "image_size": 64, **options}
    return train(data, model, out, recipe=recipe, say=(lines if lines is not None else []).append, **options)


def tiny(*, num_classes=91, min_size=320, max_size=512, masks=False):
    backbone = mobilenet_v2(weights=None, width_mult=0.1).features[:-1]
    light = {"box_head_size": 8, "mask_layers": (8, 8), "box_batch_size_per_image": 16, "rpn_post_nms_top_n_test": 20}
    return detector_on_backbone(backbone, 32, num_classes, min_size=min_size, max_size=max_size, masks=masks, **light)


@pytest.fixture(scope="module", autouse=True)
def tiny_builders():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BUILDERS, MODEL, tiny)
        patch.setitem(BUILDERS, "maskrcnn_tiny", partial(tiny, masks=True))
        yield


@pytest.fixture
def data(tmp_path):
    return coco_folder(tmp_path / "data", images=6)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder with data and a run over it from beginning to end, `mine`, and what it said; read-only."""
    folder = tmp_path_factory.mktemp("finished")
    lines = []
    best = run(coco_folder(folder / "data", images=6), folder / "mine.pt", lines=lines)
    return folder, best, lines


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(value, b[name]) for name, value in a.items())


def test_writes_best_last_and_curve(finished):
    folder, best, lines = finished
    assert {path.name for path in folder.glob("mine*")} == {"mine.pt", "mine.last.pt", "mine.png", "mine.json"}
    with Image.open(folder / "mine.png") as curve:
        assert curve.size == (1200, 450)
    history = json.loads((folder / "mine.json").read_text())
    assert [entry["epoch"] for entry in history] == [1, 2]
    assert set(history[0]["losses"]) == {"loss_classifier", "loss_box_reg", "loss_objectness", "loss_rpn_box_reg"}
    assert same(best.state, read_checkpoint(folder / "mine.pt").state)
    assert best.categories == ("__background__", "person", "dog")
    assert best.training["recipe"]["epochs"] == 2
    assert any("epoch 2 of 2" in line for line in lines)
    found = Detector(read_model_spec(folder / "mine.pt")).detect(folder / "data" / "images" / "1.png")
    assert found.categories == best.categories


@pytest.mark.parametrize(
    "stop_after",
    [
        pytest.param(1, id="in the first epoch", marks=pytest.mark.slow),
        pytest.param(3, id="at the end of an epoch", marks=pytest.mark.slow),
        pytest.param(4, id="in the second epoch"),
    ],
)
def test_resume_gives_the_same_weights_as_no_interruption(finished, data, tmp_path, monkeypatch, stop_after):
    stopped = tmp_path / "mine.pt"
    interrupt_after(stop_after, monkeypatch)
    with pytest.raises(TrainingInterrupted, match=f"Stopped after batch {stop_after} of 6"):
        run(data, stopped)
    monkeypatch.undo()
    lines = []
    run(data, stopped, resume=True, lines=lines)
    assert f"Resumed after batch {stop_after}." in lines
    ended, resumed = (read_checkpoint(folder / "mine.last.pt") for folder in (finished[0], tmp_path))
    assert same(ended.resume["model"], resumed.resume["model"])
    assert same(ended.state, resumed.state)
    assert same(finished[1].state, read_checkpoint(stopped).state)
    histories = [json.loads((folder / "mine.json").read_text()) for folder in (finished[0], tmp_path)]
    assert histories[0] == histories[1]


def interrupt_after(batches, monkeypatch):
    """Presses Ctrl-C in a batch."""
    from detection_core.training import trainer

    count = iter(range(1, 1000))

    def losses_of(*arguments):
        if next(count) == batches:
            os.kill(os.getpid(), signal.SIGINT)
        return original(*arguments)

    original = trainer.losses_of
    monkeypatch.setattr(trainer, "losses_of", losses_of)


@pytest.mark.parametrize(
    ("options", "other_data", "name"),
    [
        ({"recipe": replace(QUICK, batch_size=3)}, lambda data: data, "batch size"),
        pytest.param({"recipe": replace(QUICK, lr=1.0)}, lambda data: data, "lr", marks=pytest.mark.slow),
        pytest.param({"recipe": replace(QUICK, average=0)}, lambda data: data, "average", marks=pytest.mark.slow),
        pytest.param({"image_size": 96}, lambda data: data, "its arguments", marks=pytest.mark.slow),
        pytest.param({}, lambda data: coco_folder(data.parent / "more", images=7), "images", marks=pytest.mark.slow),
        ({}, lambda data: coco_folder(data.parent / "cats", images=6, categories=("cat", "dog")), "classes"),
    ],
    ids=["batch size", "learning rate", "average", "image size", "images", "classes"],
)
def test_resume_refuses_another_run(finished, data, tmp_path, options, other_data, name):
    out = tmp_path / "mine.pt"
    shutil.copy(finished[0] / "mine.last.pt", tmp_path)
    with pytest.raises(CheckpointError, match=f"{name} was .*, now"):
        run(other_data(data), out, resume=True, **{"recipe": QUICK, **options})


@pytest.mark.slow
def test_longer_training_over_several_runs(data, tmp_path):
    out = tmp_path / "mine.pt"
    run(data, out, recipe=replace(QUICK, epochs=1))
    again = run(data, out, resume=True)
    assert len(json.loads((tmp_path / "mine.json").read_text())) == 2
    assert again.training["epochs"] in (1, 2)


@pytest.mark.slow
def test_of_equals_the_later_is_the_best(data, tmp_path, monkeypatch):
    monkeypatch.setattr("detection_core.training.trainer.evaluate", lambda *_: Evaluation({}, ()))
    assert run(data, tmp_path / "mine.pt").training["epochs"] == 2


@pytest.mark.slow
def test_what_was_learned_is_kept_when_measuring_fails(data, tmp_path, monkeypatch):
    out = tmp_path / "mine.pt"
    with monkeypatch.context() as patch:
        patch.setattr("detection_core.training.trainer.evaluate", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run(data, out)
    lines = []
    run(data, out, resume=True, lines=lines)
    assert "Resumed after batch 3." in lines
    assert [entry["epoch"] for entry in json.loads((tmp_path / "mine.json").read_text())] == [1, 2]


# A file where the folder should be stops even root, and on every system.
@pytest.mark.parametrize("path", ["file/mine.pt", "mine.pth"], ids=["a folder that cannot be written to", "another ending"])
def test_a_place_that_cannot_be_written_to_is_refused_first(data, tmp_path, path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match="mine"):
        run(data, tmp_path / path)


def test_never_writes_over_a_result(data, tmp_path):
    (tmp_path / "mine.pt").write_text("precious")
    with pytest.raises(FileExistsError, match="--resume"):
        run(data, tmp_path / "mine.pt")
    assert (tmp_path / "mine.pt").read_text() == "precious"


@pytest.mark.slow
def test_starts_from_a_checkpoint_and_takes_over_classes_of_the_same_name(finished, tmp_path):
    folder, first, _ = finished
    other = coco_folder(tmp_path / "other", images=4, categories=("cat", "person"))
    lines = []
    run(other, tmp_path / "second.pt", init=folder / "mine.pt", lines=lines, recipe=replace(QUICK, lr=0.0, epochs=1), image_size=None)
    second = read_checkpoint(tmp_path / "second.last.pt").state
    rows = "roi_heads.box_predictor.cls_score.weight"
    assert torch.equal(second[rows][2], first.state[rows][1])
    assert not torch.equal(second[rows][1], first.state[rows][2])
    assert any("known classes: person" in line for line in lines)


@pytest.mark.slow
def test_mixed_data_trains_the_heads_that_it_can(tmp_path):
    with_masks, without = coco_folder(tmp_path / "a", images=4), coco_folder(tmp_path / "b", images=4, masks=False, seed=1)
    mixed = TrainingData(
        [with_masks, without], validation=[with_masks], partial=[coco_folder(tmp_path / "c", images=2, masks=False, seed=2)]
    )
    best = run(mixed, tmp_path / "mine.pt", model="maskrcnn_tiny")
    assert {"box_map", "mask_map"} == set(best.metrics)
    history = json.loads((tmp_path / "mine.json").read_text())
    assert "loss_mask" in history[0]["losses"]


@pytest.mark.slow
def test_heads_learn_from_so_many_proposals(data, tmp_path, monkeypatch):
    counts = []
    loss = roi_heads.fastrcnn_loss

    def counted(logits, *others):
        counts.append(len(logits))
        return loss(logits, *others)

    monkeypatch.setattr(roi_heads, "fastrcnn_loss", counted)
    run(data, tmp_path / "mine.pt", recipe=replace(QUICK, epochs=1, proposals=4))
    assert set(counts) == {4 * QUICK.batch_size}


@pytest.mark.parametrize(
    ("masks", "keypoints"),
    [
        pytest.param(False, False, id="boxes", marks=pytest.mark.slow),
        pytest.param(True, False, id="masks", marks=pytest.mark.slow),
        pytest.param(False, True, id="keypoints", marks=pytest.mark.slow),
        pytest.param(True, True, id="all"),
    ],
)
def test_the_coco_model_gets_the_heads_that_the_data_can_teach(tmp_path, masks, keypoints):
    # The first class has keypoints; sorted by id it is the second.
    folder = coco_folder(tmp_path / "data", images=4, masks=masks, keypoints=keypoints, category_ids=(7, 3))
    lines = []
    best = run(
        folder, tmp_path / "mine.pt", model=COCO_MODEL, recipe=replace(QUICK, epochs=1), lines=lines, init="weights", image_size=None
    )
    spec = read_model_spec(tmp_path / "mine.pt")
    assert spec.tasks == ("boxes", *["masks"] * masks, *["keypoints"] * keypoints)
    assert (spec.category_ids, spec.categories[1:]) == ((0, 3, 7), ("dog", "person"))
    assert {"box_map", *["mask_map"] * masks, *["kp_map"] * keypoints} == set(best.metrics)
    missing = [line for line in lines if "trained without" in line]
    assert len(missing) == (not masks) + (not keypoints and "keypoints" in get_model_spec(COCO_MODEL).tasks)
    found = Detector(spec).detect(folder / "images" / "1.png")
    assert found.category_ids == spec.category_ids
    assert (found.masks is not None) == masks
    if keypoints:
        assert spec.architecture.arguments["keypoint_labels"] == [2]
        assert not found.has_keypoints[found.labels != 2].any()


@pytest.mark.parametrize(
    ("folder", "options", "message"),
    [
        ({"masks": False}, {"model": "maskrcnn_mobilenet_v2_fpn"}, "has none"),
        ({"keypoints": False}, {"model": "keypointrcnn_mobilenet_v2_fpn"}, "has none"),
        ({}, {"model": "yolo"}, "no model “yolo”.*keypointrcnn_mobilenet_v2_fpn"),
        ({}, {"init": "weights"}, "no trained weights"),
        ({}, {"init": "backbone"}, "--backbone FILE"),
        ({}, {"model": "ssd300_vgg16", "image_size": 200}, "300 pixels always"),
        ({"images": 1}, {}, "One image"),
        ({"images": 3, "empty": 3}, {}, "No image has an object"),
        ({}, {"init": "imagenet"}, "neither weights, backbone or random"),
        ({}, {"resume": True}, "to resume from"),
        ({}, {"model": "ssdlite320_mobilenet_v3_large", "image_size": None, "recipe": replace(QUICK, batch_size=1)}, "--batch-size 2"),
        ({}, {"recipe": replace(QUICK, loss_weights={"loss_typo": 3.0})}, "no loss loss_typo"),
        ({}, {"model": "ssd300_vgg16", "image_size": None, "recipe": replace(QUICK, proposals=8)}, "leave --proposals out"),
    ],
    ids=[
        "no masks",
        "no keypoints",
        "no such model",
        "no weights",
        "no backbone",
        "fixed size",
        "one image",
        "no objects",
        "no such start",
        "nothing to resume",
        "norms of one",
        "no such loss",
        "no proposals",
    ],
)
def test_says_what_does_not_fit(tmp_path, folder, options, message):
    with pytest.raises((DataError, TrainingError), match=message):
        run(coco_folder(tmp_path / "data", **folder), tmp_path / "mine.pt", **options)


def spoil(data):
    content = json.loads((data / "annotations.json").read_text())
    content["annotations"][0]["bbox"] = [10, 10, -5, 20]
    (data / "images" / "3.png").unlink()
    (data / "annotations.json").write_text(json.dumps(content))


def test_refuses_faulty_data_and_names_every_fault(data, tmp_path):
    spoil(data)
    with pytest.raises(InvalidDataError) as refused:
        run(data, tmp_path / "mine.pt")
    assert len(refused.value.faults) == 2
    assert "annotation 1" in str(refused.value)
    assert "3.png" in str(refused.value)
    assert "--skip-invalid" in str(refused.value)


def test_goes_on_without_faulty_data_and_says_how_much(data, tmp_path):
    spoil(data)
    lines = []
    run(TrainingData([data], skip_invalid=True), tmp_path / "mine.pt", lines=lines, recipe=replace(QUICK, epochs=1))
    assert any("without 1 images and 3 annotations" in line for line in lines)


@pytest.mark.slow
def test_two_processes_train_together(data, tmp_path):
    out = tmp_path / "mine.pt"
    partial = coco_folder(tmp_path / "partial", images=1, seed=5)
    command = "-m torch.distributed.run --standalone --nproc_per_node 2 -m detection_core train"
    options = f"--data {data} --partial {partial} --out {out} --model {SHIPPED} --init random --image-size 64 --epochs 1 --batch-size 1"
    done = subprocess.run(
        [sys.executable, *command.split(), *options.split()],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    trained = read_checkpoint(out).training
    # Six images make three batches for each of the two.
    assert (trained["processes"], trained["images"], trained["batches"]) == (2, 6, 3)
    assert done.stderr.count("epoch 1 of 1") == done.stderr.count("is ready") == 1


@pytest.mark.slow
def test_overfits_four_images(tmp_path, monkeypatch):
    person = "person_mobilenet_v2_fpn"
    # Two objects an image need no 512 boxes to be distinguished from the rest.
    monkeypatch.setitem(get_model_spec(person).architecture.arguments, "box_batch_size_per_image", 64)
    data = coco_folder(tmp_path / "data", images=4, size=(160, 128))
    plain = replace(Augmentation.none(), min_size=(96, 96), max_size=128)
    recipe = Recipe(epochs=1, batch_size=1, lr=1e-3, backbone_lr=1, warmup=5, average=10, augmentation=plain)
    out = tmp_path / "mine.pt"
    # Ten times in one epoch: it is measured and saved but once.
    best = run(TrainingData([data] * 10, validation=[data]), out, model=person, init="weights", recipe=recipe, image_size=96)
    figures = best.training["figures"]
    assert {task: figures[task]["ap50"] > 90 for task in figures} == {"boxes": True, "masks": True, "keypoints": True}
    found = Detector(read_model_spec(out)).detect(data / "images" / "1.png")
    found = found[found.scores >= read_model_spec(out).default_threshold]
    assert sorted(found.names) == ["dog", "person"]
    assert found.keypoint_names == KEYPOINT_NAMES
