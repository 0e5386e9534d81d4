from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from itertools import combinations

import numpy as np
import pytest
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath
from matplotlib.transforms import Bbox
from PIL import Image

from detection_core.ui.models.tab import chart_points
from detection_core.visualization.charts import ChartPoint, accuracy_cost_chart, training_chart

SVG = "{http://www.w3.org/2000/svg}"
SIZES = {"wide": (1392, 540), "middle": (760, 540), "narrow": (366, 640)}
# A third built-in model, as there may be.
POINTS = [*chart_points(), ChartPoint("Another", "boxes", 1.5, 26.3, hollow=True), ChartPoint("Another", "masks", 1.5, 20.1, hollow=True)]


@pytest.fixture(scope="module", params=SIZES)
def chart(request) -> ET.Element:
    return ET.fromstring(accuracy_cost_chart(POINTS, *SIZES[request.param]))


def texts(chart: ET.Element) -> list[str]:
    return ["".join(text.itertext()).strip() for text in chart.iter(f"{SVG}text")]


def test_names_every_model_once(chart):
    shown = texts(chart)
    names = {point.name for point in POINTS}
    assert len(names) == 16
    for name in names:
        assert shown.count(name) == 1


def test_takes_the_pages_text_color_and_font(chart):
    source = ET.tostring(chart, encoding="unicode")
    assert "currentColor" in source
    assert "var(--font" in source
    assert not {"#000000", "#010203", "DejaVu"} & set(re.findall(r"#\w{6}|DejaVu", source))


def test_says_what_it_is_to_screen_readers(chart):
    assert chart.get("role") == "img"
    assert "all models" in str(chart.get("aria-label"))


def test_costs_are_written_as_people_write_them(chart):
    shown = texts(chart)
    assert {"1", "10", "100"} <= set(shown)
    assert not [text for text in shown if "10" in text and not text.isdecimal()]


def test_names_cover_nothing(chart):
    assert_nothing_is_covered(chart, {point.name for point in POINTS})


@pytest.mark.slow
@pytest.mark.parametrize("name", SIZES)
def test_names_of_near_points_cover_nothing(name):
    near = [ChartPoint(f"Model number {i}", "boxes", 100 + 8 * (i % 3), 30 + 1.5 * (i // 3)) for i in range(6)]
    apart = [ChartPoint("cheap", "masks", 1, 10), ChartPoint("dear", "keypoints", 400, 60)]
    chart = ET.fromstring(accuracy_cost_chart(near + apart, *SIZES[name]))
    assert_nothing_is_covered(chart, {point.name for point in near + apart})


def assert_nothing_is_covered(chart: ET.Element, names: set[str]) -> None:
    _, _, width, height = map(float, str(chart.get("viewBox")).split())
    boxes = [box for name, box in text_boxes(chart) if name in names]
    assert len(boxes) == len(names)
    assert len(markers(chart)) >= len(names)
    for box in boxes:
        assert box.x0 >= 0
        assert box.x1 <= width
        assert box.y0 >= 0
        assert box.y1 <= height
    pairs = [(one, other) for one, other in combinations(boxes, 2) if one.overlaps(other)]
    assert not pairs
    assert not [box for box in boxes for x, y in markers(chart) if Bbox.from_extents(x - 4, y - 4, x + 4, y + 4).overlaps(box)]


def text_boxes(chart: ET.Element) -> list[tuple[str, Bbox]]:
    """Every upright text and where its letters are, in the font that its place was chosen for."""
    found = []
    for text in chart.iter(f"{SVG}text"):
        if "rotate(-90" in str(text.get("transform")):
            continue
        style = str(text.get("style"))
        ink = TextPath(
            (0, 0), text.text, size=float(re.search(r"font-size: ([\d.]+)px", style)[1]), prop=FontProperties("DejaVu Sans")
        ).get_extents()
        x = (
            float(str(text.get("x")))
            - {"end": 1, "middle": 0.5}.get(anchor[1] if (anchor := re.search(r"anchor: (\w+)", style)) else "", 0) * ink.x1
        )
        y = float(str(text.get("y")))
        found.append((str(text.text), Bbox.from_extents(x + ink.x0, y - ink.y1, x + ink.x1, y - ink.y0)))
    return found


def markers(chart: ET.Element) -> list[tuple[float, float]]:
    """Centers of all points, which are paths or copies of one."""
    groups = [group for group in chart.iter(f"{SVG}g") if "PathCollection" in str(group.get("id"))]
    copies = [(float(str(use.get("x"))), float(str(use.get("y")))) for group in groups for use in group.iter(f"{SVG}use")]
    paths = [path for group in groups for path in group.findall(f"{SVG}path")]
    corners = [np.array(re.findall(r"-?[\d.]+", str(path.get("d"))), float).reshape(-1, 2) for path in paths]
    return copies + [tuple((xys.min(axis=0) + xys.max(axis=0)) / 2) for xys in corners]


def test_hollow_points_are_hollow_and_in_the_legend():
    filled = accuracy_cost_chart([ChartPoint("a", "boxes", 1, 20), ChartPoint("b", "masks", 100, 30)], hollow_label="Elsewhere")
    hollow = accuracy_cost_chart(
        [ChartPoint("a", "boxes", 1, 20), ChartPoint("b", "masks", 100, 30, hollow=True)], hollow_label="Elsewhere"
    )
    assert {"Boxes", "Masks"} <= set(texts(ET.fromstring(filled)))
    assert "Keypoints" not in filled
    assert "Elsewhere" not in filled
    assert "Elsewhere" in texts(ET.fromstring(hollow))
    assert "fill: none; stroke: #bd6b00" in hollow
    assert "fill: none; stroke: #bd6b00" not in filled


def test_charts_of_different_widths_share_no_ids():
    ids = [
        {element.get("id") for element in ET.fromstring(accuracy_cost_chart(POINTS[-4:], *size)).iter() if element.get("id")}
        for size in SIZES.values()
    ]
    assert all(ids)
    assert not ids[0] & ids[1] | ids[0] & ids[2] | ids[1] & ids[2]


@pytest.mark.parametrize("metrics", [{}, {"box AP": [(1, 20.0), (2, 31.5)]}], ids=["nothing measured", "measured"])
def test_a_training_run_becomes_an_image_of_its_curves(metrics):
    image = Image.open(io.BytesIO(training_chart({"loss_mask": [(1, 0.9), (2, 0.1)], "loss_zero": [(1, 0.0), (2, 0.0)]}, metrics)))
    assert image.size == (1200, 450)
    left, right = (np.asarray(image.convert("RGB"))[:, half].reshape(-1, 3) for half in (slice(0, 600), slice(600, 1200)))
    assert has_a_curve(left)
    assert has_a_curve(right) == bool(metrics)


def has_a_curve(pixels: np.ndarray) -> bool:
    """Whether a good many pixels are matplotlib's first blue."""
    return (np.abs(pixels.astype(int) - (0x1F, 0x77, 0xB4)).max(axis=1) < 12).sum() > 200
