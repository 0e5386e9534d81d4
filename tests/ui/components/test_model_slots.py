from __future__ import annotations

import gradio as gr
import pytest

from detection_core.models.catalog import PERSON_MODEL, list_models
from detection_core.ui.components.model_slots import ModelSlots, slots_value

STATES = dict.fromkeys(list_models(), "on disk")
TWO = [PERSON_MODEL, "ssd300_vgg16"]


def test_knows_all_models_and_what_is_chosen():
    value = slots_value(TWO, STATES)
    assert value["selected"] == TWO
    assert [model["key"] for model in value["models"]] == list_models()
    assert (value["least"], value["most"]) == (2, 4)


def test_a_model_in_two_precisions_is_two():
    keys = [PERSON_MODEL, f"{PERSON_MODEL}@stock"]
    assert [model["key"] for model in slots_value(keys, STATES | {keys[1]: "on disk"})["models"]] == list_models()
    assert ModelSlots(keys, STATES).preprocess({"selected": keys}) == keys


@pytest.mark.parametrize(
    "sent",
    [
        None,
        7,
        {},
        {"selected": "ab"},
        {"selected": ["a"]},
        {"selected": list("abcde")},
        {"selected": ["a", 7]},
        {"selected": [["a"], "b"]},
        {"selected": ["a", "b\ud800"]},
    ],
    ids=ascii,
)
def test_refuses_what_is_no_choice(sent):
    with pytest.raises(gr.Error, match="two to four"):
        ModelSlots(TWO, STATES).preprocess(sent)


def test_refuses_the_same_model_twice():
    with pytest.raises(gr.Error, match="only once"):
        ModelSlots(TWO, STATES).preprocess({"selected": ["a", "b", "a"]})


def test_gives_the_keys():
    assert ModelSlots(TWO, STATES).preprocess({"selected": ["a", "removed just now"]}) == ["a", "removed just now"]
