from __future__ import annotations

import pytest
from PIL import Image

from detection_core.models.catalog import ASSETS
from detection_core.ui.shared.examples import EXAMPLE_PATHS, EXAMPLES, clicked_example

CREDITS = (ASSETS / "CREDITS.md").read_text()


def test_there_is_an_example_for_each_image_and_an_image_for_each_example():
    assert sorted(EXAMPLE_PATHS) == sorted((ASSETS / "examples").iterdir())
    assert 8 <= len(EXAMPLES) <= 10


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_image_is_credited_small_and_without_metadata(name):
    with Image.open(EXAMPLES[name]) as image:
        assert f"`{EXAMPLES[name].name}` ({image.width} × {image.height}" in CREDITS
        assert max(image.size) <= 1280
        assert not image.getexif()
        assert not {"icc_profile", "comment", "xmp"} & image.info.keys()


def test_all_images_together_are_small():
    assert sum(path.stat().st_size for path in EXAMPLE_PATHS) < 2_000_000


@pytest.mark.parametrize(
    ("sent", "chosen"), [({"index": 4}, "Wine"), ({"index": 99}, "Grace Hopper"), ({"index": "4"}, "Grace Hopper"), (None, "Grace Hopper")]
)
def test_a_click_means_the_example_of_its_index(sent, chosen):
    assert clicked_example(sent) == str(EXAMPLES[chosen])
