"""Reading visitors' images: files that are missing or too large are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from detection_core.images.reading import ImageError
from detection_core.ui.shared.uploads import read_upload


def test_reads_an_image(tmp_path: Path):
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    assert read_upload(tmp_path / "a.png").image.size == (40, 30)


def test_says_what_is_gone(tmp_path: Path):
    with pytest.raises(ImageError, match="no longer on the server"):
        read_upload(tmp_path / "a.png")


def test_an_image_may_not_be_as_large_as_a_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DETECTION_EXPLORER_MAX_IMAGE_MEGABYTES", "1")
    (tmp_path / "a.jpg").write_bytes(b"x" * 3 * 2**20)
    with pytest.raises(ImageError, match="has 3 MB; at most 1 MB"):
        read_upload(tmp_path / "a.jpg")
