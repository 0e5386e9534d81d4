from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detection_core.models.catalog import UnknownModelError, get_model_spec
from detection_core.models.model_key import ModelKey, precisions_in, state_of, usual_key, weights_key
from detection_core.models.precision import Precision

KEY = "ssd300_vgg16"
FAST, STOCK = Precision.FAST, Precision.STOCK
# The twin in the browser, detection_core/ui/components/js/model_keys.js, is tested with the same table.
KEYS = {
    KEY: ModelKey(KEY),
    f"{KEY}@fast": ModelKey(KEY, FAST),
    f"{KEY}@stock": ModelKey(KEY, STOCK),
    f"{KEY}@480px": ModelKey(KEY, input_size=480),
    f"{KEY}@slices640": ModelKey(KEY, slices=640),
    f"{KEY}@480px@slices640": ModelKey(KEY, input_size=480, slices=640),
    f"{KEY}@stock@1333px@slices640": ModelKey(KEY, STOCK, 1333, 640),
    # What the grammar does not have belongs to the name.
    f"{KEY}@exact": ModelKey(f"{KEY}@exact"),
    f"{KEY}@slow": ModelKey(f"{KEY}@slow"),
    f"{KEY}@fast@stock": ModelKey(f"{KEY}@fast", STOCK),
    f"{KEY}@480px@fast": ModelKey(f"{KEY}@480px", FAST),
    f"{KEY}@slices640@480px": ModelKey(f"{KEY}@slices640", input_size=480),
    f"{KEY}@480px@480px": ModelKey(f"{KEY}@480px", input_size=480),
    f"{KEY}@0480px": ModelKey(f"{KEY}@0480px"),
    f"{KEY}@0px": ModelKey(f"{KEY}@0px"),
    f"{KEY}@480": ModelKey(f"{KEY}@480"),
    f"{KEY}@-480px": ModelKey(f"{KEY}@-480px"),
    f"{KEY}@123456px": ModelKey(f"{KEY}@123456px"),
    f"{KEY}@٤٨٠px": ModelKey(f"{KEY}@٤٨٠px"),
    f"{KEY}@480px\n": ModelKey(f"{KEY}@480px\n"),
    "a\nb@fast": ModelKey("a\nb", FAST),
    "@fast": ModelKey("@fast"),
    "@480px@slices640": ModelKey("@480px", slices=640),
    "": ModelKey(""),
}
NAMES = st.from_regex(r"[A-Za-z0-9_.-]+", fullmatch=True)
SIZES = st.none() | st.integers(1, 99_999)


@pytest.mark.parametrize(("text", "key"), KEYS.items(), ids=repr)
def test_keys_are_split_and_joined(text, key):
    assert ModelKey.parse(text) == key
    assert str(key) == text


@given(st.builds(ModelKey, NAMES, st.sampled_from(Precision), SIZES, SIZES))
def test_every_variant_has_a_key_of_its_own(key):
    assert ModelKey.parse(str(key)) == key


@given(st.lists(st.sampled_from(["a", "@", "px", "0", "7", "@fast", "@stock", "@480px", "@slices640", "@exact"])).map("".join))
def test_every_text_is_the_key_of_its_parts(text):
    assert str(ModelKey.parse(text)) == text


@pytest.mark.skipif(not shutil.which("node"), reason="Node.js is not installed")
def test_the_browser_reads_and_writes_keys_as_python_does():
    module = Path(__file__).parents[2] / "detection_core/ui/components/js/model_keys.js"
    script = f"import {{ splitKey, joinKey }} from {json.dumps(module.as_uri())};"
    script += "console.log(JSON.stringify(JSON.parse(process.argv[1]).map((key) => [splitKey(key), joinKey(splitKey(key))])))"
    command = ["node", "--input-type=module", "--eval", script, json.dumps(list(KEYS))]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    parts = [
        {"name": key.name, "precision": str(key.precision), "inputSize": key.input_size, "slices": key.slices} for key in KEYS.values()
    ]
    assert json.loads(ran.stdout) == [list(each) for each in zip(parts, KEYS, strict=True)]


def test_models_that_differ_only_in_size_and_slices_share_their_weights():
    assert weights_key(f"{KEY}@stock@480px@slices640") == f"{KEY}@stock"


@pytest.mark.parametrize(
    ("text", "words"), [(KEY, ()), (f"{KEY}@fast", ("fast",)), (f"{KEY}@480px@slices640", ("480 px", "slices of 640 px"))]
)
def test_the_variant_has_words(text, words):
    assert ModelKey.parse(text).variant == words


@pytest.mark.parametrize("key", [f"{KEY}@exact", f"{KEY}@fast@fast", f"{KEY}@480px@fast", f"{KEY}@480", "nothing@fast", "nothing@480px"])
def test_other_endings_are_no_models(key):
    with pytest.raises(UnknownModelError):
        get_model_spec(key)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [([], []), ([KEY], ["exact"]), ([f"{KEY}@stock", KEY], ["exact", "stock"]), ([f"{KEY}@fast", "other", "other@stock"], ["fast"])],
    ids=str,
)
def test_a_models_precisions_are_read_from_the_keys(keys, expected):
    assert precisions_in(keys, KEY) == expected


def test_a_model_is_where_its_weights_are():
    states = {KEY: "on disk", f"{KEY}@fast": "in memory"}
    keys = [KEY, f"{KEY}@480px", f"{KEY}@fast@480px@slices640", f"{KEY}@stock@480px"]
    assert [state_of(key, states) for key in keys] == ["on disk", "on disk", "in memory", None]


def test_the_usual_key_is_one_that_there_is(monkeypatch):
    monkeypatch.setenv("DETECTION_EXPLORER_PRECISION", "fast")
    assert usual_key(KEY, [KEY, f"{KEY}@fast"]) == f"{KEY}@fast"
    assert usual_key(KEY, [KEY, f"{KEY}@stock"]) == KEY
