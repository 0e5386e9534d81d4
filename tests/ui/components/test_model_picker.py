from __future__ import annotations

import gradio as gr
import pytest

from detection_core.catalog import EMBEDDED_MODEL, get_spec, list_models
from detection_core.ui.components.model_picker import ModelPicker, card, megabytes

STATES = dict.fromkeys(list_models(), "on disk")


def test_knows_all_models_with_those_that_give_everything_first():
    models = ModelPicker(STATES).props["models"]
    assert {model["key"] for model in models} == set(list_models())
    assert models[0]["key"] == EMBEDDED_MODEL
    assert {model["group"] for model in models} == {"Boxes, masks, keypoints", "Boxes", "Boxes, masks", "Boxes, keypoints"}


def test_a_card_tells_what_decides():
    told = card(get_spec("maskrcnn_resnet50_fpn_v2"))
    assert dict(told["facts"]) == {"Box AP": "47.4", "Mask AP": "41.8", "Compute": "334 GFLOPs", "Parameters": "46.4 M", "File": "186 MB"}
    assert told["metrics_on"] == "COCO val2017, 80 classes"
    assert told["recipe"].startswith("https://")


@pytest.mark.parametrize("sent", [None, "yolo", {}, {"selected": "yolo"}, {"selected": None}, {"selected": ["a"]}, 7], ids=repr)
def test_refuses_what_is_not_in_the_list(sent):
    with pytest.raises(gr.Error, match="Choose a model"):
        ModelPicker(STATES).preprocess(sent)


def test_gives_the_key():
    assert ModelPicker(STATES).preprocess({"selected": EMBEDDED_MODEL}) == EMBEDDED_MODEL


def test_megabytes():
    assert megabytes(159.743) == "168 MB"
