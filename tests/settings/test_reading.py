"""Settings: from flags and environment, checked before anything starts, and in docs/settings.md."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import pytest

from detection_core.errors import SettingsError
from detection_core.settings import DEFINITIONS, Settings, add_setting_flags, export_flags, read_setting, read_settings

ROOT = Path(__file__).parents[2]
BY_NAME = {each.name: each for each in DEFINITIONS}


def flags(*given: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_setting_flags(parser)
    return parser.parse_args(given)


def test_the_documentation_has_every_setting():
    rows = [f"| `{each.flag}` | `{each.variable}` | {each.shown_default} | {each.help} |" for each in DEFINITIONS]
    table = [line for line in (ROOT / "docs/settings.md").read_text("utf-8").splitlines() if line.startswith("| `--")]
    assert table == rows


def test_names_are_unique():
    for names in ([each.flag for each in DEFINITIONS], [each.variable for each in DEFINITIONS]):
        assert len(set(names)) == len(names)


def test_without_flags_and_variables_there_are_the_defaults():
    assert read_settings({}, {}) == Settings()
    assert export_flags(flags(), {}) == {}


@pytest.mark.parametrize("definition", [each for each in DEFINITIONS if not each.may_be_empty], ids=lambda each: each.name)
def test_an_empty_variable_is_as_none(definition):
    assert read_settings({}, {definition.variable: " "}) == Settings()


def test_no_folder_of_models_is_a_choice():
    assert read_settings({}, {"DETECTION_EXPLORER_MODELS_DIR": ""}).models_dir == ()


# For each setting a text and its value; for each parser, a text that it refuses is further below.
GIVEN: dict[str, tuple[str, object]] = {
    "host": ("0.0.0.0", "0.0.0.0"),
    "port": ("0", 0),
    "root_path": ("/detection/", "/detection"),
    "share": ("true", True),
    "qr": ("1", True),
    "show_links": ("off", False),
    "log_format": ("json", "json"),
    "auth": ("ada:p:w, bob:x", (("ada", "p:w"), ("bob", "x"))),
    "allowed_origins": ("https://a.example, http://b.example:81", ("https://a.example", "http://b.example:81")),
    "allow_urls": ("yes", True),
    "mcp": ("1", True),
    "frame_ancestors": ("https://a.example *", ("https://a.example", "*")),
    "device": ("cuda:1", "cuda:1"),
    "precision": ("stock", "stock"),
    "models_dir": ("assets:tests", (Path("assets"), Path("tests"))),
    "memory_budget": ("1.5 GiB", 3 << 29),
    "torch_home": ("nowhere", Path("nowhere")),
    "weights_dir": ("assets", (Path("assets"),)),
    "weights_mirror": ("http://host/dir/", "http://host/dir"),
    "offline": ("Yes", True),
    "max_megapixels": ("0.5", 0.5),
    "engine": ("ray", "ray"),
    "ray_address": ("auto", "auto"),
    "workers": ("9", 9),
    "max_image_megabytes": ("5", 5.0),
    "max_video_seconds": ("90", 90.0),
    "max_video_megabytes": ("2.5", 2.5),
    "max_batch": ("50", 50),
    "max_queue": ("3", 3),
    "max_live_visitors": ("1", 1),
    "keep_uploads_seconds": ("60", 60),
    "temp_quota_bytes": ("10GB", 10**10),
    "keep_images": ("kept", Path("kept")),
}


@pytest.mark.parametrize("name", BY_NAME)
def test_a_setting_can_be_given_by_variable_or_flag(monkeypatch, name):
    monkeypatch.chdir(ROOT)
    text, value = GIVEN[name]
    definition = BY_NAME[name]
    expected = dataclasses.replace(Settings(), **{name: value})
    assert value != definition.default
    assert read_settings({}, {definition.variable: text}) == expected
    assert read_setting(name, {definition.variable: text}) == value
    flag = [definition.flag.replace("--", "--" if value else "--no-")] if isinstance(value, bool) else [definition.flag, text]
    environ = {definition.variable: "is not even read"}
    given = export_flags(flags(*flag), {})
    assert read_settings(given, environ) == expected
    # Code further down reads the environment.
    export_flags(flags(*flag), environ)
    assert read_setting(name, environ) == value


def test_a_former_name_is_still_valid():
    assert read_settings({}, {"DETECTION_EXPLORER_KEEP_PICTURES": "kept"}).keep_images == Path("kept")
    assert read_settings(export_flags(flags("--keep-pictures", "kept"), {}), {}).keep_images == Path("kept")


WRONG = [
    ("port", ["65536", "-1", "http", "1e3", "²", "8_0"]),
    ("max_batch", ["0", "-3", "many", "1.5", "²", "1" * 19]),
    ("max_megapixels", ["many", "0", "-3", "nan", "inf"]),
    ("share", ["maybe", "2"]),
    ("memory_budget", ["much", "-1GB", "4 Gigs", "1e9", "GB"]),
    ("log_format", ["xml"]),
    ("engine", ["spark"]),
    ("ray_address", ["ray://host:10001", "host", ":6379", "host:port"]),
    ("workers", ["0"]),
    ("precision", ["half", "EXACT"]),
    ("root_path", ["detection", "//host", "/a?b", "ftp://host/a"]),
    ("weights_mirror", ["host/dir", "file:///weights"]),
    ("models_dir", ["nowhere"]),
    ("keep_images", [__file__]),
    ("allowed_origins", ["example.org", "https://a.example/path", "https://user@a.example"]),
    ("frame_ancestors", ["self", "example.org", "https://a.example; script-src *"]),
]


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in WRONG for text in texts])
def test_what_is_impossible_is_reported_in_one_sentence(name, text):
    definition = BY_NAME[name]
    for flags_given, environ, source in (({name: text}, {}, definition.flag), ({}, {definition.variable: text}, definition.variable)):
        with pytest.raises(SettingsError) as raised:
            read_settings(flags_given, environ)
        message = str(raised.value)
        assert message.startswith(f"{source} must ")
        assert message.endswith("." if definition.secret else f", not “{text}”.")
        assert "\n" not in message


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", 0), ("123456", 123_456), ("500MB", 500_000_000), ("500 mb", 500_000_000), ("4GiB", 4 << 30), ("2k", 2000), ("1TB", 10**12)],
)
def test_sizes(text, value):
    assert read_setting("memory_budget", {"DETECTION_EXPLORER_MEMORY_BUDGET": text}) == value


def test_passwords_may_be_in_a_file(tmp_path):
    (tmp_path / "users").write_text("# the class\nada:secret, with comma\n\nbob:x\n")
    assert read_settings({"auth": str(tmp_path / "users")}, {}).auth == (("ada", "secret, with comma"), ("bob", "x"))


@pytest.mark.parametrize("text", ["sesame", "ada:", ":sesame", "ada:sesame,ada:x", ","])
def test_messages_do_not_repeat_passwords(text):
    with pytest.raises(SettingsError) as raised:
        read_settings({"auth": text}, {})
    assert str(raised.value).startswith("--auth must ")
    assert "sesame" not in str(raised.value)


def test_settings_do_not_show_passwords():
    given = read_settings({"auth": "ada:sesame", "weights_mirror": "http://ada:sesame@host"}, {})
    assert "sesame" not in repr(given)
