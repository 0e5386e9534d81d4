"""What an image costs at another input size, by hand."""

from __future__ import annotations

import pytest

from detection_core.models.catalog import PERSON_MODEL, get_model_spec
from detection_core.models.precision import Precision
from detection_core.models.size_cost import fixed_share, relative_time

FCOS = "fcos_resnet50_fpn"


@pytest.mark.parametrize(
    ("model", "seconds", "share"),
    [
        (FCOS, {}, 0.1),
        (PERSON_MODEL, {}, 0.4),
        (FCOS, {FCOS: 1.0}, 0.1),
        # 0.4, and 0.6 times the pixels of which there are a quarter at 400 px and 2.25 times as many at 1200 px.
        (FCOS, {FCOS: 1.0, f"{FCOS}@400px": 0.55}, 0.4),
        (FCOS, {f"{FCOS}@1200px": 1.75, f"{FCOS}@400px": 0.55}, 0.4),
        (FCOS, {FCOS: 2.0, f"{FCOS}@400px": 1.1, f"{FCOS}@1200px": 3.5}, 0.4),
        # Times that disturbances have turned around, or made to grow faster than pixels.
        (FCOS, {FCOS: 1.0, f"{FCOS}@400px": 1.1}, 0.1),
        (FCOS, {FCOS: 1.0, f"{FCOS}@400px": 0.1}, 0.0),
        # Others than the model on whole images in this precision.
        (FCOS, {FCOS: 1.0, f"{FCOS}@fast@400px": 0.55, f"{FCOS}@400px@slices640": 0.55, f"{PERSON_MODEL}@400px": 0.55}, 0.1),
    ],
)
def test_the_fixed_share_is_that_of_a_line_through_what_was_measured(model: str, seconds: dict[str, float], share: float):
    assert fixed_share(get_model_spec(model), Precision.EXACT, seconds) == pytest.approx(share)


def test_the_rest_grows_with_the_pixels():
    assert [relative_time(side, 800, 0.25) for side in (400, 800, 1600)] == [0.4375, 1, 3.25]
