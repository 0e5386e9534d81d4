from __future__ import annotations

from detection_core.ui.models_tab import chart_points
from tests.ui.model_files import put_model


def test_the_chart_is_of_published_figures_only(models_folder):
    before = chart_points()
    put_model(models_folder / "pets.pt", metrics={"box_map": 99.0})
    assert chart_points() == before
    assert max(point.average_precision for point in before) < 70
    assert "Person MobileNetV2 (built in)" not in {point.name for point in before}
