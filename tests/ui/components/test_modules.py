"""Modules are served under the hash of what all of them hold, and nothing else is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from detection_core.ui.components.modules import MODULES, Modules, mounting_script, preloading_head


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in {
        "tab/view.js": 'import { a } from "../shared/a.js";\nimport { b } from "./b.js";\n',
        "tab/b.js": 'import { a } from "../shared/a.js";\nexport const b = a;\n',
        "shared/a.js": "export const a = 1;\n",
        "other/view.js": "export const c = 1;\n",
        "languages/de.json": '{"Image": "Bild"}',
        "tab/view.py": "secret = 1",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_the_version_is_that_of_all_contents(folder: Path):
    before = Modules(folder).version
    assert Modules(folder).version == before
    (folder / "shared" / "a.js").write_text("export const a = 2;\n")
    assert Modules(folder).version != before
    moved = Modules(folder).version
    (folder / "shared" / "a.js").rename(folder / "shared" / "d.js")
    assert Modules(folder).version != moved


def test_a_module_is_served_for_ever(folder: Path):
    modules = Modules(folder)
    answer = TestClient(Starlette(routes=[modules.route()])).get(modules.address("shared/a.js"))
    assert (answer.status_code, answer.text) == (200, "export const a = 1;\n")
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"


def test_what_modules_fetch_is_served_beside_them(folder: Path):
    modules = Modules(folder)
    answer = TestClient(Starlette(routes=[modules.route()])).get(modules.address("languages/de.json"))
    assert (answer.status_code, answer.json()) == (200, {"Image": "Bild"})
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("root", ["", "/explorer"])
def test_a_root_path_may_be_passed_on_or_taken_off(folder: Path, root: str):
    modules = Modules(folder)
    client = TestClient(Starlette(routes=[modules.route()]), root_path=root)
    assert client.get(modules.address("shared/a.js")).status_code == 200
    assert client.get(root + modules.address("shared/a.js")).status_code == 200


@pytest.mark.parametrize("name", ["tab/view.py", "shared/none.js", "../tab/view.js", "%2e%2e/tab/view.js", "/etc/hostname", "", "tab"])
def test_nothing_else_is_served(folder: Path, name: str):
    modules = Modules(folder)
    prefix = modules.address("shared/a.js").removesuffix("shared/a.js")
    answer = TestClient(Starlette(routes=[modules.route()])).get(prefix + name)
    assert answer.status_code == 404
    assert "immutable" not in answer.headers.get("cache-control", "")


def test_another_version_is_not_there(folder: Path):
    modules = Modules(folder)
    address = modules.address("shared/a.js").replace(modules.version, "0" * 16)
    answer = TestClient(Starlette(routes=[modules.route()])).get(address)
    assert (answer.status_code, answer.headers["cache-control"]) == (404, "no-store")


def test_imports_are_followed(folder: Path):
    assert sorted(Modules(folder).with_imports(["tab/view.js"])) == ["shared/a.js", "tab/b.js", "tab/view.js"]


def test_an_unknown_module_is_a_fault():
    with pytest.raises(FileNotFoundError):
        MODULES.address("detect/none.js")


def test_no_script_says_where_the_files_lie():
    texts = [mounting_script("detect/view.js", {"formats": ["png"]}), preloading_head("detect/view.js")]
    assert not [text for text in texts if str(Path(__file__).parents[3]) in text]
    assert "detect/view.js" in texts[0]
    assert len(set(re.findall(r"[\w/]+\.js", texts[1]))) > 10
