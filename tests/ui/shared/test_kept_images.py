from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

from detection_core.ui.shared.kept_images import KeptImages


def make_image(shade: int) -> Image.Image:
    return Image.fromarray(np.full((30, 40, 3), shade, np.uint8))


def test_a_kept_image_is_found_again_without_its_metadata(tmp_path):
    kept = KeptImages(tmp_path / "new" / "folder")
    image = make_image(200)
    image.info["exif"] = b"Exif place"
    name = kept.keep(image)
    found = kept.find(name)
    assert found is not None
    with Image.open(found) as again:
        assert again.size == (40, 30)
        assert not again.getexif()
        assert abs(int(np.asarray(again)[0, 0, 0]) - 200) < 3
    assert kept.keep(make_image(200)) == name
    assert len(list(found.parent.iterdir())) == 1


@pytest.mark.parametrize("name", ["", "0" * 32, "../secret", "..", "a" * 31 + "/", "A" * 32])
def test_other_names_find_nothing(tmp_path, name: str):
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    assert KeptImages(tmp_path / "kept").find(name) is None


def test_the_least_recently_shown_go_first(tmp_path):
    first, second = (KeptImages(tmp_path).keep(make_image(shade)) for shade in (1, 100))
    both = sum(path.stat().st_size for path in tmp_path.iterdir())
    kept = KeptImages(tmp_path, max_bytes=both + 10)
    for age, name in ((100, second), (200, first)):
        path = tmp_path / f"{name}.jpg"
        os.utime(path, (path.stat().st_mtime - age,) * 2)
    assert kept.find(first)
    third = kept.keep(make_image(200))
    assert [bool(kept.find(name)) for name in (first, second, third)] == [True, False, True]


def test_the_one_just_kept_stays_even_if_it_is_too_large(tmp_path):
    kept = KeptImages(tmp_path, max_bytes=1)
    first, second = kept.keep(make_image(1)), kept.keep(make_image(200))
    assert [bool(kept.find(name)) for name in (first, second)] == [False, True]
