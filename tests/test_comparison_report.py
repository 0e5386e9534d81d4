"""Tests a comparison's report as plain types and files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from detection_core.comparison_report import REPORT_FILE, ComparisonReport, Found, report_stems
from detection_core.formats import Provenance
from detection_core.formats.target import Target
from tests.factories import make_detections


@pytest.mark.parametrize("others", [True, False, [1]], ids=["all have keypoints", "no keypoints", "persons only"])
def test_models_are_compared_whether_or_not_their_objects_have_keypoints(tmp_path: Path, others: bool | list[int]) -> None:
    one, other = make_detections(3, masks=True, keypoints=[1]), make_detections(3, keypoints=others)
    report = ComparisonReport("a.jpg", 0.5, [Found(name, found, Provenance(name)) for name, found in (("one", one), ("other", other))])
    target = Target(tmp_path)
    report.write(Image.new("RGB", (640, 480)), target, report_stems(["one", "other"], target))

    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is not JSON")

    written = json.loads((tmp_path / REPORT_FILE).read_text(), parse_constant=refuse)
    assert (
        [thing["keypoints"] is not None for thing in written["models"][0]["objects"]] == one.has_keypoints.tolist() == [True, False, False]
    )
    assert [thing.get("keypoints") is not None for thing in written["models"][1]["objects"]] == other.has_keypoints.tolist()
    assert report.pairs["one", "other"].counts()["matched"] == 3
    assert sorted(file.name for file in tmp_path.glob("*.png")) == ["difference_one_other.png", "one.png", "other.png"]
