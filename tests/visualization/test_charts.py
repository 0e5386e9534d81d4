from __future__ import annotations

import io
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from detection_core.ui.models_tab import chart_points
from detection_core.visualization.charts import ChartPoint, accuracy_cost_chart, training_chart

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


@pytest.mark.parametrize("metrics", [{}, {"box AP": [(1, 20.0), (2, 31.5)]}], ids=["nothing measured", "measured"])
def test_a_training_run_becomes_a_picture_of_its_curves(metrics):
    picture = Image.open(io.BytesIO(training_chart({"loss_mask": [(1, 0.9), (2, 0.1)], "loss_zero": [(1, 0.0), (2, 0.0)]}, metrics)))
    assert picture.size == (1200, 450)
    left, right = (np.asarray(picture.convert("RGB"))[:, half].reshape(-1, 3) for half in (slice(0, 600), slice(600, 1200)))
    assert has_a_curve(left)
    assert has_a_curve(right) == bool(metrics)


def has_a_curve(pixels: np.ndarray) -> bool:
    """Whether a good many pixels are matplotlib's first blue."""
    return (np.abs(pixels.astype(int) - (0x1F, 0x77, 0xB4)).max(axis=1) < 12).sum() > 200
