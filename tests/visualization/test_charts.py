from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from detection_core.ui.models_tab import chart_points
from detection_core.visualization.charts import ChartPoint, accuracy_cost_chart

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def chart() -> ET.Element:
    return ET.fromstring(accuracy_cost_chart(chart_points()))


def texts(chart: ET.Element) -> list[str]:
    return ["".join(text.itertext()).strip() for text in chart.iter(f"{SVG}text")]


def test_names_every_model_once_per_series(chart):
    shown = texts(chart)
    names = [point.name for point in chart_points()]
    assert len(names) == 13
    for name in names:
        assert shown.count(name) == 1


def test_takes_the_pages_text_colour(chart):
    source = ET.tostring(chart, encoding="unicode")
    assert "currentColor" in source
    assert "#000000" not in source
    assert "#010203" not in source


def test_says_what_it_is_to_screen_readers(chart):
    assert chart.get("role") == "img"
    assert "all models" in str(chart.get("aria-label"))


def test_names_of_near_points_do_not_lie_on_each_other():
    near = [ChartPoint("first", "boxes", 100, 30), ChartPoint("second", "boxes", 101, 30.1)]
    chart = ET.fromstring(accuracy_cost_chart(near))
    places = {
        text.text: text.get("transform") or (text.get("x"), text.get("y"))
        for text in chart.iter(f"{SVG}text")
        if text.text in ("first", "second")
    }
    assert len(set(places.values())) == 2
