from __future__ import annotations

from dataclasses import replace

import gradio as gr
import pytest

from detection_core.models.catalog import COCO_MODEL, PERSON_MODEL, get_model_spec, list_models, list_specs
from detection_core.ui.components import model_picker
from detection_core.ui.components.model_picker import ModelPicker, card, detect_label, megabytes, picker_value
from tests.ui.model_files import put_model

STATES = dict.fromkeys(list_models(), "on disk")


def test_knows_all_models_and_where_they_are():
    value = picker_value(PERSON_MODEL, STATES | {"ssd300_vgg16": "in memory"})
    assert [model["key"] for model in value["models"]] == list_models()
    assert [model["key"] for model in value["models"] if model["states"] == {"exact": "in memory"}] == ["ssd300_vgg16"]


def test_a_model_is_listed_once_with_its_precisions():
    value = picker_value("ssd300_vgg16@fast", STATES | {"ssd300_vgg16@stock": "on disk", "ssd300_vgg16@fast": "in memory"})
    assert value["selected"] == "ssd300_vgg16@fast"
    assert [model["key"] for model in value["models"]] == list_models()
    (listed,) = [model for model in value["models"] if model["key"] == "ssd300_vgg16"]
    assert list(listed["states"].items()) == [("exact", "on disk"), ("fast", "in memory"), ("stock", "on disk")]


@pytest.mark.parametrize(("usual", "chosen"), [("exact", COCO_MODEL), ("stock", f"{COCO_MODEL}@stock"), ("fast", COCO_MODEL)])
def test_begins_in_the_usual_precision_where_there_is_that(monkeypatch, usual, chosen):
    monkeypatch.setenv("DETECTION_EXPLORER_PRECISION", usual)
    assert ModelPicker(STATES | {f"{COCO_MODEL}@stock": "on disk"}).value["selected"] == chosen


def test_the_button_says_what_a_precision_entails():
    states = {"ssd300_vgg16@fast": "to download", "ssd300_vgg16": "on disk"}
    assert detect_label("ssd300_vgg16@fast", states) == "Download 143 MB and detect"
    assert detect_label("ssd300_vgg16", states) == "Detect"


def test_the_button_says_what_an_input_size_entails():
    states = {"fcos_resnet50_fpn": "to download", "ssd300_vgg16": "to download"}
    assert detect_label("fcos_resnet50_fpn@480px", states) == "Download 130 MB and detect"
    # Pressing it says why there is no such size.
    assert detect_label("ssd300_vgg16@480px", states) == "Download 143 MB and detect"


def test_a_card_says_at_which_sizes_a_model_runs_and_what_its_variants_have_taken():
    seconds = {"fcos_resnet50_fpn": 1.1, "fcos_resnet50_fpn@fast@480px": 0.2, "ssd300_vgg16": 0.4}
    cards = {card["key"]: card for card in picker_value(PERSON_MODEL, STATES, seconds)["models"]}
    fcos, ssd, person = (cards[key] for key in ("fcos_resnet50_fpn", "ssd300_vgg16", PERSON_MODEL))
    assert [card["trained_side"] for card in (fcos, ssd, person)] == [800, 300, 320]
    assert [bool(card["one_size"]) for card in (fcos, ssd, person)] == [False, True, False]
    assert fcos["seconds"] == {"fcos_resnet50_fpn": 1.1, "fcos_resnet50_fpn@fast@480px": 0.2}
    assert (ssd["seconds"], person["seconds"]) == ({"ssd300_vgg16": 0.4}, {})


def test_the_users_models_come_second_in_a_group_of_their_own(models_folder):
    put_model(models_folder / "pets.pt", default_threshold=0.3)
    models = picker_value(PERSON_MODEL, dict.fromkeys(list_models(), "on disk"))["models"]
    groups = list(dict.fromkeys(model["group"] for model in models))
    assert groups == ["Built in, no download", "Your models", "Boxes", "Boxes, keypoints", "Boxes, masks"]
    assert [model["key"] for model in models if model["group"] == "Your models"] == ["pets"]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_however_many_models_are_built_in_they_come_first_in_a_group_of_their_own(monkeypatch, models_folder, number):
    put_model(models_folder / "pets.pt")
    coco, person, *others = list_specs()
    first, *more = [coco, person, replace(coco, key="another", title="Another (built in)")][:number]
    # Wherever the catalog has them.
    monkeypatch.setattr(model_picker, "list_specs", lambda: [first, *others, *more])
    keys = [first.key, *(spec.key for spec in more)]
    models = picker_value(PERSON_MODEL, dict.fromkeys([*keys, *list_models()], "on disk"))["models"]
    assert [model["key"] for model in models if model["group"] == "Built in, no download"] == keys
    assert [model["key"] for model in models[:number]] == keys
    assert [model["key"] for model in models[number:]] == [spec.key for spec in others]


def test_a_model_that_was_just_added_or_removed_is_left_out_until_the_next_refresh(models_folder):
    path = put_model(models_folder / "pets.pt")
    assert "pets" not in {model["key"] for model in picker_value("pets", STATES)["models"]}
    states = dict.fromkeys(list_models(), "on disk")
    path.unlink()
    value = picker_value("pets", states)
    assert "pets" not in {model["key"] for model in value["models"]}
    assert value["selected"] == "pets"


def test_a_card_has_the_facts_for_a_choice():
    shown = card(get_model_spec("maskrcnn_resnet50_fpn_v2"))
    assert dict(shown["facts"]) == {"Box AP": "47.4", "Mask AP": "41.8", "Compute": "334 GFLOPs", "Parameters": "46.4 M", "File": "186 MB"}
    assert shown["metrics_on"] == "COCO val2017, 80 classes"
    assert shown["recipe"].startswith("https://")


def test_a_card_leaves_out_what_is_not_known(models_folder):
    put_model(models_folder / "pets.pt")
    shown = card(get_model_spec("pets"))
    assert [name for name, _ in shown["facts"]] == ["Parameters", "File"]
    assert (shown["metrics_on"], shown["recipe"]) == ("", "")


@pytest.mark.parametrize("sent", [None, ["yolo"], {}, {"selected": None}, {"selected": ["a"]}, 7, "a\ud800", "a\0", "a" * 301], ids=ascii)
def test_refuses_what_is_no_choice(sent):
    with pytest.raises(gr.Error, match="Choose a model"):
        ModelPicker(STATES).preprocess(sent)


@pytest.mark.parametrize("key", [PERSON_MODEL, f"{PERSON_MODEL}@fast", "removed just now"])
def test_gives_the_key(key):
    assert ModelPicker(STATES).preprocess({"selected": key, "models": []}) == key
    assert ModelPicker(STATES).preprocess(key) == key, "programs send the key alone"


def test_megabytes():
    assert megabytes(159.743) == "168 MB"
