from __future__ import annotations

import pytest

from detection_core.cli.main import main
from detection_core.models.checkpoint import read_checkpoint
from tests.coco_folders import coco_folder

MODEL = "fasterrcnn_mobilenet_v2_fpn"


def train(data, out, *options: str) -> int:
    return main(["train", "--data", str(data), "--out", str(out), "--model", MODEL, "--init", "random", "--image-size", "64", *options])


def test_trains_and_says_where_the_result_is(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("DETECTION_EXPLORER_MODELS_DIR", str(tmp_path))
    out = tmp_path / "mine.pt"
    options = ["--epochs", "1", "--batch-size", "2", "--lr", "0.001", "--average", "0", "--background", "0.1"]
    options += ["--loss-weight", "loss_box_reg=2", "--precision", "bf16", "--proposals", "32"]
    assert train(coco_folder(tmp_path / "data"), out, *options) == 0
    assert "mine.pt is ready: the page lists it." in capsys.readouterr().err
    recipe = read_checkpoint(out).training["recipe"]
    assert (recipe["lr"], recipe["average"], recipe["bf16"], recipe["loss_weights"]) == (0.001, 0, True, {"loss_box_reg": 2.0})
    assert (recipe["augmentation"]["background"], recipe["proposals"]) == (0.1, 32)


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        ("nowhere", [], "nowhere"),
        ("data", ["--device", "nonsense"], "device “nonsense” cannot be used"),
        ("data", ["--init", "nonsense"], "neither weights, backbone or random"),
        ("data", ["--model", "nonsense"], "no model “nonsense”"),
        ("data", ["--resume"], "to resume from"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_what_cannot_be_done_is_a_sentence(tmp_path, capsys, data, options, message):
    coco_folder(tmp_path / "data")
    assert train(tmp_path / data, tmp_path / "mine.pt", *options) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said
    assert not (tmp_path / "mine.pt").exists()


@pytest.mark.parametrize(
    "option",
    ["--epochs 0", "--batch-size -1", "--lr nan", "--lr 0", "--average -5", "--seed 99999999999", "--background 1", "--loss-weight a=b"],
)
def test_numbers_that_make_no_sense_are_bad_usage(tmp_path, capsys, option):
    with pytest.raises(SystemExit) as refused:
        train(tmp_path, tmp_path / "mine.pt", *option.split())
    assert refused.value.code == 2
    assert option.split()[0] in capsys.readouterr().err


def test_too_little_memory_is_a_sentence(tmp_path, capsys, monkeypatch):
    def fail(*_):
        raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB")

    monkeypatch.setattr("detection_core.training.trainer.losses_of", fail)
    assert train(coco_folder(tmp_path / "data"), tmp_path / "mine.pt") == 1
    assert "Lower --batch-size" in capsys.readouterr().err
