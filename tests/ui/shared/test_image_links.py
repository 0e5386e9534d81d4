from __future__ import annotations

import numpy as np
import pytest

from detection_core.images.reading import read_image
from detection_core.ui.shared import image_links
from detection_core.ui.shared.examples import EXAMPLE_PATHS, EXAMPLES
from detection_core.ui.shared.image_links import ImageLinks
from detection_core.ui.shared.kept_images import KeptImages


def own(shade: int = 7):
    return read_image(np.full((30, 40, 3), shade, np.uint8))


def test_every_example_can_be_linked():
    links = ImageLinks()
    names = [links.name(read_image(path)) for path in EXAMPLE_PATHS]
    assert len(set(names)) == len(EXAMPLES)
    assert [links.find(name) for name in names] == EXAMPLE_PATHS
    assert "example:grace-hopper" in names


def test_own_images_are_kept_only_where_the_host_allows_it_and_the_visitor_asks(tmp_path):
    without = ImageLinks()
    assert (without.can_keep, without.keep(own()), without.name(own())) == (False, "", "")
    links = ImageLinks(KeptImages(tmp_path))
    assert links.name(own()) == ""
    assert not list(tmp_path.iterdir())
    name = links.keep(own())
    assert links.name(own()) == name == links.keep(own())
    assert links.find(name) == next(tmp_path.iterdir())
    assert links.keep(read_image(EXAMPLE_PATHS[0])).startswith("example:")


def test_what_a_link_brought_back_can_be_linked_again(tmp_path):
    name = ImageLinks(KeptImages(tmp_path)).keep(own())
    later = ImageLinks(KeptImages(tmp_path))
    path = later.find(name)
    assert path is not None
    assert later.name(read_image(path)) == name


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes(b"")], ids=["gone", "damaged"])
def test_a_kept_image_that_is_gone_or_damaged_is_none(tmp_path, damage):
    links = ImageLinks(KeptImages(tmp_path))
    name = links.keep(own())
    damage(links.find(name))
    assert links.find(name) is None


def test_a_kept_image_that_is_gone_can_be_kept_again(tmp_path):
    links = ImageLinks(KeptImages(tmp_path))
    name = links.keep(own())
    links.find(name).unlink()
    assert links.name(own()) == ""
    assert links.keep(own()) == name
    assert links.find(name) is not None


def test_beyond_the_capacity_kept_images_are_forgotten_and_examples_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(image_links, "_KNOWN", len(EXAMPLES) + 1)
    links = ImageLinks(KeptImages(tmp_path))
    links.keep(own(1))
    name = links.keep(own(2))
    assert [links.name(own(1)), links.name(own(2))] == ["", name]
    assert all(links.name(read_image(path)) for path in EXAMPLE_PATHS)


@pytest.mark.parametrize("name", ["", "example:", "example:moon", "kept:", "kept:../x", "file:/etc/passwd", "/etc/passwd"])
def test_other_names_mean_no_image(tmp_path, name: str):
    assert ImageLinks(KeptImages(tmp_path)).find(name) is None
