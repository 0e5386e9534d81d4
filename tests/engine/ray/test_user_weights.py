"""A user's model file on its way to another machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from detection_core.engine.ray.user_weights import local_copy, read_weights
from detection_core.models.catalog import COCO_MODEL, get_model_spec
from detection_core.models.weights import WeightsError

BUILT_IN = get_model_spec(COCO_MODEL)


def test_the_copy_has_the_bytes_and_is_made_once_for_each_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "node"))
    file = tmp_path / "mine.pt"
    copies = []
    for revision, content in (("1", b"first"), ("1", b"first"), ("2", b"second")):
        file.write_bytes(content)
        spec = replace(BUILT_IN, source="user", file=file, revision=revision)
        copies.append(local_copy(spec, read_weights(spec)).file)
        assert copies[-1] is not None
        assert copies[-1].read_bytes() == content
        assert copies[-1].suffix == ".pt"
    assert copies[0] == copies[1] != copies[2]


def test_a_file_that_is_gone_is_said(tmp_path: Path):
    with pytest.raises(WeightsError, match="has been removed"):
        read_weights(replace(BUILT_IN, source="user", file=tmp_path / "gone.pt"))


def test_other_models_are_left_to_each_machine():
    assert read_weights(BUILT_IN) is None
    assert local_copy(BUILT_IN, None) is BUILT_IN
