"""A model is prepared for a device and a precision; a file that cannot be used is reported, and deleted if it is in our cache."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from detection_core.models import prepare, weights
from detection_core.models.build import build_empty
from detection_core.models.catalog import PERSON_MODEL, ModelSpec, get_model_spec
from detection_core.models.precision import Precision
from detection_core.models.prepare import LoadProgress, prepare_model
from detection_core.models.weights import WeightsError

pytestmark = pytest.mark.usefixtures("home")

SSDLITE = get_model_spec("ssdlite320_mobilenet_v3_large")


@pytest.fixture(scope="module")
def content(tmp_path_factory) -> bytes:
    """A weights file of SSDlite."""
    file = tmp_path_factory.mktemp("content") / "x.pth"
    torch.save(build_empty(SSDLITE.architecture).state_dict(), file)
    return file.read_bytes()


@pytest.fixture
def file(cache: Path) -> Path:
    """Where SSDlite's weights are found."""
    cache.mkdir(parents=True)
    return cache / SSDLITE.file_name


def prepared(spec: ModelSpec, device: str = "cpu") -> tuple[nn.Module, list[LoadProgress]]:
    seen: list[LoadProgress] = []
    return prepare_model(spec, torch.device(device), on_progress=seen.append, cancelled=lambda: False), seen


def test_from_a_file_onto_a_device(file, content):
    file.write_bytes(content)
    module, seen = prepared(SSDLITE, "meta")
    assert {parameter.device.type for parameter in module.parameters()} == {"meta"}
    assert not module.training
    assert seen == [LoadProgress("load", 0, len(content))]


# Ends while another thread is in the middle of torch's code.
INTERRUPTED = """
import sys, time
from pathlib import Path
import torch
from detection_core.models import prepare
from detection_core.models.catalog import COCO_MODEL, get_model_spec
from detection_core.models.loader import ModelLoader

torch.set_num_threads(1)

def build(spec, path):
    end, matrix = time.monotonic() + 1, torch.ones(300, 300)
    while time.monotonic() < end:
        matrix @ matrix
    return torch.nn.Module()

def interrupt(progress):
    raise KeyboardInterrupt

prepare.fetch_weights = lambda spec, **_: Path("weights")
prepare.build_model = build
try:
    ModelLoader(10**9).load(get_model_spec(COCO_MODEL), on_progress=interrupt)
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.slow
def test_a_process_that_is_interrupted_while_it_reads_a_model_ends_in_order():
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (130, "")


class TestUnusableFiles:
    @pytest.mark.parametrize(
        "spoil",
        [
            pytest.param(lambda content: content[:-5000], id="cut short"),
            pytest.param(lambda content: b"", id="empty"),
            pytest.param(lambda content: b"<html>Please log in</html>", id="a web page"),
            pytest.param(lambda content: content[: len(content) // 2] + bytes(len(content) // 2), id="zeros after a crash"),
        ],
    )
    def test_a_damaged_file_in_the_cache_is_deleted(self, home, file, content, spoil):
        file.write_bytes(spoil(content))
        with pytest.raises(WeightsError, match=r"is damaged.*has been deleted.*Try again") as raised:
            prepared(SSDLITE)
        assert SSDLITE.file_name in str(raised.value)
        assert str(home) not in str(raised.value)
        assert not file.exists()

    def test_the_file_of_another_model(self, file):
        torch.save(nn.Linear(2, 2).state_dict(), file)
        with pytest.raises(WeightsError, match="not the file of this model"):
            prepared(SSDLITE)
        assert not file.exists()

    @pytest.mark.parametrize("folder", ["a folder of the user's", "the cache itself, named by the user", "assets"])
    def test_a_damaged_file_that_is_not_ours_is_kept(self, home, cache, monkeypatch, folder):
        spec = get_model_spec(PERSON_MODEL) if folder == "assets" else SSDLITE
        place = cache if folder.startswith("the cache") else home / folder
        place.mkdir(parents=True)
        monkeypatch.setenv(weights.WEIGHTS_DIR, str(place))
        file = place / spec.file_name
        file.write_bytes(b"damaged")
        with pytest.raises(WeightsError, match="is damaged") as raised:
            prepared(spec)
        assert "deleted" not in str(raised.value)
        assert str(home) not in str(raised.value)
        assert file.read_bytes() == b"damaged"

    def test_a_file_is_not_blamed_for_a_lack_of_memory(self, file, monkeypatch):
        def run_out_of_memory(spec, path):
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

        monkeypatch.setattr(prepare, "build_model", run_out_of_memory)
        monkeypatch.setattr(weights, "_expected_hash", lambda spec: weights.sha256(file)[:8])
        file.write_bytes(b"all is well")
        with pytest.raises(RuntimeError, match="allocate memory"):
            prepared(SSDLITE)
        assert file.exists()


class TestOptimizing:
    @pytest.fixture(autouse=True)
    def optimized(self, home, monkeypatch) -> list[torch.dtype]:
        """The types of numbers for which `optimize` was called, with a model that needs no weights."""
        monkeypatch.setattr(prepare, "fetch_weights", lambda spec, **_: home)
        monkeypatch.setattr(prepare, "build_model", lambda spec, path: nn.Module())
        asked: list[torch.dtype] = []
        monkeypatch.setattr(prepare, "optimize", lambda module, dtype: asked.append(dtype) or module)
        return asked

    @pytest.mark.parametrize(
        ("precision", "dtypes"),
        [(Precision.EXACT, [torch.float32]), (Precision.FAST, [torch.bfloat16]), (Precision.STOCK, [])],
        ids=str,
    )
    def test_models_are_made_fast_unless_torchvisions_own_are_wanted(self, optimized, monkeypatch, precision, dtypes):
        monkeypatch.setattr(prepare, "sixteen_bits", lambda device: torch.bfloat16)
        prepared(SSDLITE.in_precision(precision))
        assert optimized == dtypes

    def test_other_devices_get_torchvisions_own(self, optimized):
        prepared(SSDLITE, "meta")
        assert optimized == []

    def test_a_device_without_the_instructions_says_so(self, monkeypatch):
        monkeypatch.setattr(prepare, "sixteen_bits", lambda device: None)
        with pytest.raises(WeightsError, match="no instructions for numbers of sixteen bits"):
            prepared(SSDLITE.in_precision(Precision.FAST))
