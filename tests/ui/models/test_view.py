from __future__ import annotations

from detection_core.models.catalog import list_models
from detection_core.ui.models.view import ModelTable, table_value
from tests.ui.model_files import put_model


def states() -> dict[str, str]:
    return dict.fromkeys(list_models(), "on disk")


def test_has_a_row_for_every_model():
    value = ModelTable(states()).value
    assert len(value["rows"]) == len(list_models())
    assert {row["yours"] for row in value["rows"]} == {False}
    assert {row["state"] for row in value["rows"]} == {"on disk"}
    assert value["rejected"] == []


def test_a_users_model_is_marked_and_unknown_facts_are_none(models_folder):
    put_model(models_folder / "pets.pt", metrics={"box_map": 31.2}, training={"metrics_on": "my garden"})
    yours = [row for row in table_value(states())["rows"] if row["yours"]]
    expected = {"title": "pets", "box_map": 31.2, "metrics_on": "my garden", "mask_map": None, "kp_map": None, "gflops": None, "recipe": ""}
    assert [{name: row[name] for name in expected} for row in yours] == [expected]


def test_a_model_that_was_just_added_is_left_out_until_the_next_refresh(models_folder):
    before = states()
    put_model(models_folder / "pets.pt")
    assert not any(row["yours"] for row in table_value(before)["rows"])


def test_files_that_cannot_be_used_have_a_name_and_a_reason(models_folder):
    put_model(models_folder / "pets.pt")
    put_model(models_folder / "ssd300_vgg16.pt")
    (models_folder / "text.pt").write_text("not a model")
    rejected = {file["name"]: file["reason"] for file in table_value(states())["rejected"]}
    assert rejected.keys() == {"ssd300_vgg16.pt", "text.pt"}
    assert rejected["ssd300_vgg16.pt"].startswith("There is a model “ssd300_vgg16” already.")
    # The name stands above the reason, not in it again.
    assert rejected["text.pt"].startswith("Is no file of PyTorch weights")
