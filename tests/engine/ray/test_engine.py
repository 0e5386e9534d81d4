"""The page's side of the engine on a cluster, without Ray; what both engines have in common is in `test_local.py`."""

from __future__ import annotations

import pickle
import pickletools

import numpy as np
import pytest

from detection_core.cli.main import main
from detection_core.engine import EngineError
from detection_core.engine.ray import RayEngine, RayMissingError, installed
from detection_core.engine.ray import engine as ray_engine
from detection_core.engine.ray.messages import Cancel, ClusterState, Submit
from detection_core.explanation import Recorder
from detection_core.images.reading import LoadedImage, read_image
from detection_core.models.catalog import COCO_MODEL, get_model_spec
from detection_core.models.precision import Precision
from tests.engine.ray.in_process import InProcessLink

COCO = get_model_spec(COCO_MODEL)


class SilentLink(InProcessLink):
    """A cluster whose detectors never answer."""

    def send(self, message: Submit | Cancel) -> None:
        self.sent.append(message)


@pytest.fixture
def link(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> InProcessLink:
    made: InProcessLink = getattr(request, "param", InProcessLink)()
    monkeypatch.setattr(ray_engine, "ClusterLink", made)
    return made


@pytest.fixture
def engine(link: InProcessLink):
    made = RayEngine()
    yield made
    made.close()


def an_image(shade: int) -> LoadedImage:
    return read_image(np.full((20, 30, 3), shade, np.uint8))


@pytest.mark.parametrize("link", [SilentLink], indirect=True)
def test_a_lost_cluster_fails_jobs_until_it_is_back(engine, link):
    jobs = [engine.submit(an_image(shade), COCO) for shade in range(4)]
    link.lose()
    for job in jobs:
        with pytest.raises(EngineError, match="cannot be reached at present"):
            job.result(10)
    assert (engine.status().waiting, engine.status().running) == (0, 0)
    with pytest.raises(EngineError, match="cannot be reached at present"):
        engine.submit(an_image(0), COCO)
    link.on_message(ClusterState(1))
    assert not engine.submit(an_image(0), COCO).future.done()


@pytest.mark.parametrize("link", [SilentLink], indirect=True)
def test_detectors_get_as_many_images_as_keep_them_busy(engine, link):
    jobs = [engine.submit(an_image(shade), COCO, visitor=str(shade)) for shade in range(8)]
    assert len(link.sent) == 2
    # One more detector, and none.
    link.on_message(ClusterState(2))
    assert len(link.sent) == 4
    link.on_message(ClusterState(0))
    jobs[0].cancel()
    assert isinstance(link.sent[-1], Cancel)
    assert len(link.sent) == 5
    link.on_message(ClusterState(2))
    assert len(link.sent) == 6


@pytest.mark.parametrize("link", [SilentLink], indirect=True)
def test_a_job_for_the_same_image_goes_on_when_the_first_is_cancelled(engine, link):
    first, second = (engine.submit(an_image(1), COCO, visitor=visitor) for visitor in "ab")
    first.cancel()
    assert len(link.sent) == 1, "the detector goes on"
    second.cancel()
    assert isinstance(link.sent[-1], Cancel)
    assert engine.status().waiting == 0


def test_states_of_models_are_those_of_the_detectors(engine):
    assert engine.model_states()[COCO.key] == "on disk"
    engine.submit(an_image(1), COCO).result(30)
    assert engine.model_states()[COCO.key] == "in memory"


def test_only_functions_that_have_a_name_travel(engine, link):
    with pytest.raises(TypeError, match="cannot be sent to a detector"):
        engine.call(lambda *_: None, an_image(1), COCO)
    assert link.sent == []
    call = engine.call(Recorder(COCO), an_image(1), COCO.in_precision(Precision.STOCK))
    # In this protocol each name that is looked up stands by itself.
    sent = pickletools.genops(pickle.dumps(link.sent[0].call, protocol=2))
    packages = {argument.partition(".")[0].partition(" ")[0] for opcode, argument, _ in sent if opcode.name == "GLOBAL"}
    assert packages == {"detection_core", "__builtin__"}
    assert call.result(30).detections.image_size == (20, 30)


def test_without_ray_one_sentence_says_how_to_install_it(monkeypatch, capsys):
    monkeypatch.setattr(installed, "find_spec", lambda name: None)
    with pytest.raises(RayMissingError, match=r"pip install -r requirements-scale\.txt"):
        RayEngine()
    assert main(["serve", "--engine", "ray", "--port", "0"]) != 0
    assert "pip install -r requirements-scale.txt" in capsys.readouterr().err
