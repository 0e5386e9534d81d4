from __future__ import annotations

from dataclasses import replace

import pytest

from detection_core.models.catalog import PERSON_MODEL, get_model_spec, list_specs
from detection_core.ui.models import tab as models_tab
from detection_core.ui.models.tab import chart_caption, chart_points
from tests.ui.model_files import put_model


@pytest.fixture
def two_built_in(monkeypatch):
    """A person model and another one come with the project."""
    metrics = {"box_map": 26.3, "mask_map": 20.1}
    another = replace(
        get_model_spec(PERSON_MODEL), key="another", title="Another (built in)", metrics=metrics, metrics_on="360 <other> images"
    )
    others = [spec for spec in list_specs() if spec.source != "embedded"]
    monkeypatch.setattr(models_tab, "list_specs", lambda: [get_model_spec(PERSON_MODEL), another, *others])


def test_the_users_models_are_not_in_the_chart(models_folder):
    before = chart_points()
    put_model(models_folder / "pets.pt", metrics={"box_map": 99.0})
    assert chart_points() == before
    assert max(point.average_precision for point in before) < 70


def test_published_figures_are_filled_and_those_of_built_in_models_hollow(two_built_in):
    points = chart_points()
    hollow = {(point.name, point.series, point.average_precision) for point in points if point.hollow}
    person = get_model_spec(PERSON_MODEL).metrics
    assert hollow == {
        ("Person MobileNetV2", "boxes", person["box_map"]),
        ("Person MobileNetV2", "masks", person["mask_map"]),
        ("Person MobileNetV2", "keypoints", person["kp_map"]),
        ("Another", "boxes", 26.3),
        ("Another", "masks", 20.1),
    }
    assert len([point for point in points if not point.hollow]) == 13


def test_the_caption_says_what_each_built_in_model_was_measured_on(two_built_in):
    assert chart_caption().endswith(
        f"only: Person MobileNetV2 on {get_model_spec(PERSON_MODEL).metrics_on}; Another on 360 <other> images."
    )


def test_the_chart_is_drawn_for_wide_middle_and_narrow_windows(two_built_in):
    chart = models_tab.chart.__wrapped__()
    assert chart.count("<svg ") == 3
    assert "360 &lt;other&gt; images" in chart
    for name in ("wide", "middle", "narrow"):
        assert f'class="chart {name}"' in chart
