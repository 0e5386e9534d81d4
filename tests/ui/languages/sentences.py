"""Every text of the page, collected from its sources: templates, the browser's modules, and the Python that speaks to visitors."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

from detection_core.formats import FORMATS
from detection_core.models.catalog import list_specs
from detection_core.video.formats import VIDEO_FORMATS
from detection_core.visualization import LAYERS
from tests.ui.languages.python_texts import python_texts

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "detection_core"
# What speaks to programs and administrators, not to visitors of the page.
_NOT_THE_PAGE = {
    "ui/api.py",
    "ui/service.py",
    "ui/theme.py",
    "ui/components/base.py",
    "ui/components/files.py",
    "ui/components/modules.py",
    "ui/components/safe_image.py",
    "engine/ray/installed.py",
    "ui/shared/checked_blocks.py",
    "ui/shared/image_urls.py",
    "ui/shared/limits.py",
    "ui/shared/public_link.py",
    "ui/shared/request_errors.py",
    "video/io/writing.py",
    *(f"ui/{folder}" for folder in ("hosting", "http_api", "languages", "mcp")),
}
# Lower layers whose texts reach the page.
_BELOW = [
    *("images", "video/io"),
    *(f"evaluation/{name}.py" for name in ("mapping", "results_file")),
    *(f"explanation/{name}.py" for name in ("in_slices", "query", "reasons", "recorder", "stages", "what_if", "why", "why_not")),
]
# Those of which only errors do.
_BELOW_RAISED = [
    *("engine", "evaluation/run.py", "slicing/grid.py"),
    *(f"models/{name}.py" for name in ("download", "input_size", "loader", "prepare", "spec", "weights")),
]
# What cannot be collected, one a line: sentences that Python and the modules put together from parts, and Gradio's own.
_COMPOSED = Path(__file__).with_name("composed.txt")
_ATTRIBUTES = {"aria-label", "aria-valuetext", "alt", "label", "placeholder", "title"}
_LOOKS_LIKE_TEXT = re.compile(r"[A-Z][a-z]|[\w{},.:] [a-zA-Z({]|^[.,;:] ")
# Names of classes and keys, variables of styles, arrow functions.
_IS_CODE = re.compile(r"_?[A-Za-z]+[a-z][A-Z]\w*|_\w+|--.*|.*=>.*")
# Where the browser divides a text that it cannot translate whole, as in `translate.js`.
SEPARATORS = (r"(?:(?<=[.?!…])|(?<=[.?!…]”)) +", " · ", "; ", ": ", ", ")


@dataclass
class Sentences:
    """The page's texts in canonical form: `shown` are certainly read by people, with where they are; `all` may be."""

    shown: dict[str, str] = field(default_factory=dict)
    all: set[str] = field(default_factory=set)

    def add(self, text: str, source: str, *, shown: bool = True) -> None:
        form = canonical(text)
        self.all |= {form, sentence_of(form), *(canonical(piece) for separator in SEPARATORS for piece in re.split(separator, form))}
        if shown and re.search(r"[^\W\d_]{2}", form.replace("{}", " ")) and not _IS_CODE.fullmatch(form):
            self.shown.setdefault(form, source)


def canonical(text: str) -> str:
    """A text with {} for each of its parts, without spaces and marks around it, as the browser looks it up."""
    text = re.sub(r"(\{\})+", "{}", re.sub(r"\{\w*\}", "{}", " ".join(text.split())))
    # Whole sentences that are put in before it or after it.
    text = re.sub(r"^\{\} (?=[A-Z])|(?<=[.:])\{\}$", "", text)
    return re.sub(r"^[\s,;:·(]+|[\s,;:·(]+$", "", text)


def sentence_of(phrase: str) -> str:
    """A phrase as a sentence, which the page makes of some."""
    return f"{phrase[:1].upper()}{phrase[1:]}."


def collect() -> Sentences:
    """Collects all texts; those of JavaScript only where Node.js is installed."""
    found = Sentences()
    composed = [(text, _COMPOSED.name) for text in _COMPOSED.read_text("utf-8").splitlines()]
    for text, source in [*_in_templates(), *_in_values(), *composed]:
        found.add(text, source)
    for text, source, shown in _in_python():
        found.add(text, source, shown=shown)
    if has_node():
        script = ["node", str(ROOT / "tests/js/sentences.js")]
        listed = json.loads(subprocess.run(script, cwd=ROOT, check=True, capture_output=True, text=True).stdout)
        for text, source in listed["shown"].items():
            found.add(text, f"ui/{source}")
        for text in listed["all"]:
            found.add(text, "", shown=False)
    return found


def has_node() -> bool:
    """Whether the texts of JavaScript can be collected."""
    return shutil.which("node") is not None and (ROOT / "node_modules/typescript").exists()


class _Template(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._sense = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.texts += [value for name, value in attrs if name in _ATTRIBUTES and value]
        self._sense = dict(attrs).get("data-sense") or ""

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append(f"{data} [{self._sense}]" if self._sense else data)

    def handle_comment(self, data: str) -> None:
        # `<!-- part zoom: Fit all images -->` gives the part its words.
        self.texts += [text.strip() for text in data.split(": ")[1:]]


def _texts_of(html: str) -> list[str]:
    template = _Template()
    template.feed(html)
    return [text.replace("[words]", "{}") for text in template.texts]


def _in_templates() -> Iterator[tuple[str, str]]:
    for path in sorted((PACKAGE / "ui").rglob("*.html")):
        yield from ((text, path.relative_to(PACKAGE).as_posix()) for text in _texts_of(path.read_text("utf-8")))


def _in_values() -> Iterator[tuple[str, str]]:
    for spec in list_specs():
        if spec.source != "user":
            yield from ((text, "models/catalog.py") for text in (spec.best_for, spec.group, *spec.tasks, spec.metrics_on or ""))
    for known in [*FORMATS.values(), *VIDEO_FORMATS.values()]:
        yield from ((text, "formats/registry.py, video/formats.py") for text in (known.title, known.description))
    yield from ((title, "visualization/style.py") for title in LAYERS.values())


def _in_python() -> Iterator[tuple[str, str, bool]]:
    read = [(path, False) for path in [*sorted((PACKAGE / "ui").rglob("*.py")), *_files(_BELOW)]]
    for path, only_raised in [*read, *((path, True) for path in _files(_BELOW_RAISED))]:
        source = path.relative_to(PACKAGE)
        if not _NOT_THE_PAGE & {source.as_posix(), source.parent.as_posix()}:
            for text, kind in python_texts(ast.parse(path.read_text("utf-8"))):
                shown = bool(_LOOKS_LIKE_TEXT.search(text)) and (kind == "raised" or (kind == "said" and not only_raised))
                yield from ((piece, source.as_posix(), shown) for piece in (_texts_of(text) if text.startswith("<") else [text]))


def _files(names: list[str]) -> list[Path]:
    return [file for name in names for file in (sorted((PACKAGE / name).rglob("*.py")) if (PACKAGE / name).is_dir() else [PACKAGE / name])]
