from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from importlib.metadata import version

import pytest

from detection_core import __version__
from detection_core.formats import Provenance, ResultsFormatError, provenance_of
from detection_core.models.catalog import get_model_spec


def test_it_names_weights_versions_and_time():
    spec = get_model_spec("maskrcnn_resnet50_fpn_v2")
    made = provenance_of(
        spec, threshold=0.5, settings={"device": "cpu"}, time=datetime(2025, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=1)))
    )
    assert (made.model, made.weights, made.threshold, made.settings) == (spec.key, spec.file_name, 0.5, {"device": "cpu"})
    assert made.weights.endswith(f"-{made.revision}.pth")
    assert made.time == "2025-01-02T02:04:05+00:00"
    assert made.versions == {"detection_explorer": __version__, "torch": version("torch"), "torchvision": version("torchvision")}


def test_a_users_file_has_its_revision():
    class Spec:
        key, file_name, revision = "mine", "mine-0123456789.pt", "rev"

    assert provenance_of(Spec()).revision == "rev"


def test_it_is_made_now_unless_a_time_is_given():
    made = datetime.fromisoformat(provenance_of(get_model_spec("person_mobilenet_v2_fpn")).time)
    assert abs(datetime.now(UTC) - made) < timedelta(minutes=1)


def test_it_comes_back_from_json():
    made = provenance_of(get_model_spec("person_mobilenet_v2_fpn"), threshold=0.5)
    assert Provenance.from_json(json.loads(json.dumps(made.to_json()))) == made


@pytest.mark.parametrize("data", [None, [], {}, {"model": 3}, {"model": "m", "other": 1}, {"model": "m", "settings": 5}], ids=repr)
def test_something_else_is_refused(data):
    with pytest.raises(ResultsFormatError, match="provenance"):
        Provenance.from_json(data)


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"time": "later", "versions": {"torch": "9"}}, True),
        ({"model": "n"}, False),
        ({"weights": "v.pth"}, False),
        ({"revision": "1"}, False),
        ({"threshold": 0.6}, False),
        ({"settings": {"x": 1}}, False),
    ],
    ids=repr,
)
def test_what_makes_it_another_run(changes, same):
    values = {"model": "m", "weights": "w.pth", "revision": "0", "threshold": 0.5}
    assert Provenance(**values).same_run(Provenance(**values | changes)) is same
