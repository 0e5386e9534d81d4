from __future__ import annotations

import pytest

from detection_core.engine import Measurement
from detection_core.models.catalog import get_model_spec
from detection_core.ui.compare.measurements import Measurements
from tests.ui.model_files import put_model

SSD, FCOS = "ssd300_vgg16", "fcos_resnet50_fpn"


def measured(median: float, runs: int = 5, memory: int | None = 200_000_000) -> Measurement:
    return Measurement(median, median / 2, median * 2, runs, {"network": median}, memory)


def test_a_cost_is_about_one_image():
    known = Measurements()
    known.put(SSD, "this image", measured(0.2))
    cost = known.cost(get_model_spec(SSD), "this image")
    assert (cost.latency_ms, cost.low_ms, cost.high_ms, cost.runs, cost.memory_mb) == pytest.approx((200, 100, 400, 5, 200))
    assert [(part.name, part.ms) for part in cost.parts] == [("network", 200)]
    assert cost.box_ap == get_model_spec(SSD).metrics["box_map"]
    other = known.cost(get_model_spec(SSD), "another image")
    assert (other.latency_ms, other.runs, other.box_ap) == (None, 0, cost.box_ap)


def test_of_two_measurements_the_one_with_more_runs_is_kept():
    known = Measurements()
    for median, runs in ((0.2, 5), (0.3, 1), (0.4, 5)):
        known.put(SSD, "this", measured(median, runs))
    assert known.cost(get_model_spec(SSD), "this").latency_ms == 400
    known.put(SSD, "that", measured(0.1, 1))
    assert known.cost(get_model_spec(SSD), "that").latency_ms == 100
    assert known.cost(get_model_spec(SSD), "this").latency_ms == 400


def test_points_are_the_compared_and_the_measured():
    known = Measurements()
    known.put(FCOS, "any", measured(1.5))
    points = {point.id: point for point in known.points([SSD])}
    assert {key: (point.latency_ms, point.compared) for key, point in points.items()} == {SSD: (None, True), FCOS: (1500, False)}


def test_a_model_that_has_gone_is_no_point(models_folder):
    path = put_model(models_folder / "pets.pt")
    known = Measurements()
    known.put("pets", "any", measured(0.1))
    assert [point.id for point in known.points([])] == ["pets"]
    path.unlink()
    assert known.points([]) == []


@pytest.mark.parametrize(
    ("key", "is_published"),
    [(SSD, True), (f"{SSD}@stock", True), (f"{SSD}@fast", False), ("fcos_resnet50_fpn", True), ("fcos_resnet50_fpn@480px", False)],
)
def test_published_accuracy_is_not_that_of_the_fast_precision_or_another_size(key, is_published):
    known = Measurements()
    known.put(key, "any", measured(0.1))
    cost, (point,) = known.cost(get_model_spec(key), "any"), known.points([])
    assert (cost.box_ap is not None, bool(cost.metrics_on), point.box_ap is not None) == (is_published,) * 3
    assert cost.latency_ms == point.latency_ms == 100
