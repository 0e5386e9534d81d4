"""On a Space with shared GPUs, the model runs through `spaces.GPU`, in another process; without that package, nothing changes."""

from __future__ import annotations

import importlib.util
import pickle
import sys
from collections.abc import Callable
from types import ModuleType

import numpy as np
import torch

from detection_core.models import detector
from detection_core.models.catalog import PERSON_MODEL, get_model_spec
from detection_core.models.loader import ModelLoader
from detection_core.models.space_gpu import on_space_gpu


def stub_package(calls: list[str]) -> ModuleType:
    """A stand-in for the package `spaces`, whose decorator sends arguments and results as to another process."""
    package = ModuleType("spaces")

    def gpu(function: Callable) -> Callable:
        def send(*args: object, **kwargs: object) -> object:
            calls.append(function.__name__)
            args, kwargs = pickle.loads(pickle.dumps((args, kwargs)))
            return pickle.loads(pickle.dumps(function(*args, **kwargs)))

        return send

    package.GPU = gpu
    return package


def test_without_the_package_a_function_stays_as_it_is(monkeypatch):
    monkeypatch.setitem(sys.modules, "spaces", None)
    assert on_space_gpu(stub_package) is stub_package


def test_models_run_through_it(monkeypatch):
    calls: list[str] = []
    monkeypatch.setitem(sys.modules, "spaces", stub_package(calls))
    module_spec = importlib.util.spec_from_file_location("detector_on_a_space", detector.__file__)
    assert module_spec is not None
    assert module_spec.loader is not None
    on_a_space = importlib.util.module_from_spec(module_spec)
    # Dataclasses look their module up.
    monkeypatch.setitem(sys.modules, module_spec.name, on_a_space)
    module_spec.loader.exec_module(on_a_space)
    spec, loader = get_model_spec(PERSON_MODEL), ModelLoader()
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    args = (loader.load(spec), spec, [image], torch.device("cpu"))
    found, expected = on_a_space.run(*args)[0][0], detector.run(*args)[0][0]
    assert calls == ["run"]
    np.testing.assert_array_equal(found.boxes, expected.boxes)
    np.testing.assert_array_equal(found.masks, expected.masks)
