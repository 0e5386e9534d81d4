"""The engine on a real cluster of several nodes: results as the local engine's, and nothing lost when parts of the cluster are."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detection_core.detections import Detections
from detection_core.engine import EngineError, LocalEngine, Stage
from detection_core.engine.ray import DetectorSettings, RayEngine
from detection_core.explanation import Recorder
from detection_core.images.reading import LoadedImage, read_image
from detection_core.models.catalog import ASSETS, COCO_MODEL, PERSON_MODEL, get_model_spec
from detection_core.models.precision import Precision
from detection_core.models.spec import ModelSpec
from detection_core.models.user_models import read_model_spec
from tests.random_models import FAMILIES, quick_first, save_random_weights
from tests.ray_nodes import NODE, another_head, kill_head
from tests.ui.model_files import put_model

pytestmark = pytest.mark.ray

COCO = get_model_spec(COCO_MODEL)
TWO_STAGES = "fasterrcnn_mobilenet_v3_large_320_fpn"
QUICK = (COCO_MODEL, PERSON_MODEL, TWO_STAGES, "ssdlite320_mobilenet_v3_large")
PATIENCE = 120


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder in which both engines look for weights."""
    folder = tmp_path_factory.mktemp("weights")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DETECTION_EXPLORER_WEIGHTS_DIR", str(folder))
        yield folder


@pytest.fixture(scope="module")
def engine(shared_cluster: Any, weights: Path) -> Iterator[RayEngine]:
    """An engine with one detector."""
    with closing(RayEngine(shared_cluster.address, DetectorSettings(max_replicas=1, cpus=1))) as engine:
        yield engine


@pytest.fixture(scope="module")
def local(weights: Path) -> Iterator[LocalEngine]:
    with closing(LocalEngine(cores=1)) as engine:
        yield engine


@pytest.fixture
def start(cluster: Any) -> Iterator[Callable[[], RayEngine]]:
    """Makes an engine of two detectors, on a cluster of the test's own with room for one."""
    engines = []

    def make() -> RayEngine:
        cluster.add_node(**NODE)
        engine = RayEngine(cluster.address, DetectorSettings(min_replicas=2, max_replicas=2, cpus=1))
        engines.append(engine)
        engine.submit(an_image(255), COCO).result(PATIENCE)
        return engine

    yield make
    for engine in engines:
        engine.close()


def an_image(number: int) -> LoadedImage:
    """A real image, made different by its number."""
    pixels = np.array(read_image(ASSETS / "examples" / "astronaut.jpg").image.resize((160, 160)))
    pixels[0, 0] = number
    return read_image(pixels)


def assert_equal(found: Detections, expected: Detections) -> None:
    for name in ("boxes", "labels", "scores", "masks", "keypoints", "keypoint_scores", "whole_scores"):
        ours, theirs = getattr(found, name), getattr(expected, name)
        assert (ours is None) == (theirs is None), name
        assert ours is None or np.array_equal(ours, theirs, equal_nan=True), name


def assert_equal_recordings(found: Any, expected: Any) -> None:
    """Compares recordings, and what they consist of, except for the times of steps."""
    assert type(found) is type(expected)
    if is_dataclass(expected):
        for part in fields(expected):
            if part.name not in {"steps", "spec"}:
                assert_equal_recordings(getattr(found, part.name), getattr(expected, part.name))
    elif isinstance(expected, np.ndarray):
        np.testing.assert_array_equal(found, expected)
    elif isinstance(expected, tuple):
        for one, other in zip(found, expected, strict=True):
            assert_equal_recordings(one, other)
    else:
        assert found == expected


def spec_with_weights(key: str, folder: Path) -> ModelSpec:
    """A model, with random weights if it is torchvision's."""
    spec = get_model_spec(key)
    if spec.source == "torchvision" and not (folder / spec.file_name).exists():
        save_random_weights(spec, folder)
    return spec


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("key", quick_first(FAMILIES, QUICK))
def test_results_are_those_of_the_local_engine(engine, local, weights, key):
    spec = spec_with_weights(key, weights)
    on_cluster, here = (each.submit(an_image(1), spec).result(PATIENCE) for each in (engine, local))
    assert len(here.detections) > 0 or key == PERSON_MODEL
    assert_equal(on_cluster.detections, here.detections)
    assert on_cluster.spec is spec
    assert engine.model_states()[key] == "in memory"


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("key", [f"{COCO_MODEL}@slices128", f"{PERSON_MODEL}@480px@slices128", f"{TWO_STAGES}@480px"])
def test_slices_and_input_sizes_are_those_of_the_local_engine(engine, local, weights, key):
    spec_with_weights(key.partition("@")[0], weights)
    spec = get_model_spec(key)
    jobs = [each.submit(an_image(2), spec) for each in (engine, local)]
    again = engine.submit(an_image(2), spec, visitor="another")
    on_cluster, here = (job.result(PATIENCE) for job in jobs)
    assert len(here.detections) > 0 or spec.slices is None
    assert (here.detections.whole_scores is not None) == (spec.slices is not None)
    assert_equal(on_cluster.detections, here.detections)
    assert on_cluster.spec is spec
    assert again.result(PATIENCE).kept


@pytest.mark.usefixtures("one_thread")
def test_a_users_own_model_travels_to_the_detectors(engine, local, tmp_path):
    spec = read_model_spec(put_model(tmp_path / "pets.pt"))
    on_cluster, here = (each.submit(an_image(1), spec).result(PATIENCE) for each in (engine, local))
    assert on_cluster.spec is spec
    assert len(here.detections) > 0
    assert_equal(on_cluster.detections, here.detections)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("key", [COCO_MODEL, TWO_STAGES])
def test_recordings_for_explanations_are_those_of_the_local_engine(engine, local, weights, key):
    asked = spec_with_weights(key, weights)
    spec = asked.in_precision(Precision.STOCK)
    on_cluster, here = (each.call(Recorder(asked), an_image(1), spec).result(PATIENCE) for each in (engine, local))
    assert on_cluster.spec == spec
    assert len(here.candidates.boxes) > 0
    assert_equal_recordings(on_cluster, here)


def test_a_cancelled_job_leaves_room_for_others(engine):
    jobs = [engine.submit(an_image(number), COCO, visitor="gone", keep=False) for number in range(4)]
    jobs.append(engine.call(Recorder(COCO), an_image(4), COCO.in_precision(Precision.STOCK), visitor="gone"))
    engine.cancel_visitor("gone")
    assert all(job.cancelled or job.state.stage is Stage.DONE for job in jobs)
    assert len(engine.submit(an_image(5), COCO, visitor="stays").result(PATIENCE).detections) > 0


def replicas(cluster: Any) -> list[int]:
    """The processes of a cluster's detectors; their parents are its nodes."""
    nodes = {raylet.process.pid for node in cluster.list_all_nodes() for raylet in node.all_processes["raylet"]}
    listed = subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout
    detectors = (line.split() for line in listed.splitlines() if "ray::ServeReplica:detection-explorer:" in line)
    return [int(process) for process, parent, *_ in detectors if int(parent) in nodes]


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def under_load(engine: RayEngine, fault: Callable[[], None]) -> None:
    """Sends images, lets something fail meanwhile, and checks that each is answered once, and right."""
    answers: list[int] = []
    jobs = []
    for number in range(40):
        jobs.append(engine.submit(an_image(number), COCO, keep=False))
        jobs[-1].future.add_done_callback(lambda _, number=number: answers.append(number))
    jobs[2].result(PATIENCE)
    fault()
    results = [job.result(PATIENCE) for job in jobs]
    assert sorted(answers) == list(range(40))
    local = LocalEngine(cores=1)
    for number in (0, 17, 39):
        expected = local.submit(an_image(number), COCO).result(PATIENCE).detections
        assert_equal(results[number].detections, expected)
    local.close()
    assert engine.status().waiting == engine.status().running == 0


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_killed_detectors_and_nodes_lose_nothing_and_new_nodes_take_work(start, cluster):
    engine = start()
    # The second detector has no room yet.
    assert engine.max_in_flight == 2
    added = cluster.add_node(**NODE)
    wait_for(lambda: engine.max_in_flight == 4)
    wait_for(lambda: len(replicas(cluster)) == 2)
    under_load(engine, lambda: os.kill(replicas(cluster)[0], signal.SIGKILL))
    wait_for(lambda: len(replicas(cluster)) == 2 and engine.max_in_flight == 4)
    under_load(engine, lambda: cluster.remove_node(added, allow_graceful=False))


@pytest.mark.slow
def test_a_lost_head_is_reported_until_there_is_another(start, cluster):
    engine = start()
    waiting = [engine.submit(an_image(number), COCO, keep=False) for number in range(20)]
    kill_head(cluster)
    # Those that were answered before are; the others hear of it.
    for job in waiting:
        if (error := job.future.exception(PATIENCE)) is not None:
            assert isinstance(error, EngineError)
            assert "cluster" in str(error)
    with pytest.raises(EngineError, match="cannot be reached at present"):
        engine.submit(an_image(99), COCO)
    with another_head(cluster):
        wait_for(lambda: engine.status().waiting == 0 and is_back(engine))
        engine.close()


def is_back(engine: RayEngine) -> bool:
    try:
        return len(engine.submit(an_image(7), COCO, keep=False).result(PATIENCE).detections) > 0
    except EngineError:
        return False
