"""A user's model file on its way to another machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from detection_core.engine.ray.user_weights import local_copy, read_weights
from detection_core.models.catalog import COCO_MODEL, get_model_spec
from detection_core.models.loader import ModelLoader
from detection_core.models.user_models import read_model_spec
from detection_core.models.weights import WeightsError
from tests.ui.model_files import PETS, put_model

BUILT_IN = get_model_spec(COCO_MODEL)


def test_the_copy_can_be_loaded_and_is_made_once_for_each_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "node"))
    copies = []
    for classes in (PETS, PETS, ("cow", "sheep")):
        if not copies or classes != PETS:
            put_model(tmp_path / "mine.pt", classes)
        spec = read_model_spec(tmp_path / "mine.pt")
        copy = local_copy(spec, read_weights(spec))
        assert copy.file is not None
        assert copy.file.parent.is_relative_to(tmp_path / "node")
        assert ModelLoader().load(copy)
        copies.append(copy.file)
    assert copies[0] == copies[1] != copies[2]


def test_a_file_that_has_been_replaced_is_not_sent_as_the_one_before(tmp_path: Path):
    spec = read_model_spec(put_model(tmp_path / "mine.pt"))
    put_model(tmp_path / "mine.pt", ("cow", "sheep"))
    with pytest.raises(WeightsError, match="has been replaced"):
        read_weights(spec)


def test_a_file_that_is_gone_is_reported(tmp_path: Path):
    with pytest.raises(WeightsError, match="has been removed"):
        read_weights(replace(BUILT_IN, source="user", file=tmp_path / "gone.pt"))


def test_other_models_are_left_to_each_machine():
    assert read_weights(BUILT_IN) is None
    assert local_copy(BUILT_IN, None) is BUILT_IN
