"""Every catalog translates every text of the page, and nothing else."""

from __future__ import annotations

import json
import re

import pytest

from detection_core.ui.languages.head import LANGUAGES
from tests.ui.languages.sentences import PACKAGE, SEPARATORS, Sentences, canonical, collect, has_node, sentence_of

CATALOGS: dict[str, dict[str, str]] = {
    language: json.loads((PACKAGE / f"ui/languages/{language}.json").read_text("utf-8")) for language in LANGUAGES if language != "en"
}
# The same in all languages.
_NAMES = re.compile(r"\b(AP|AR|COCO|CSV|Detection Explorer|F1|GB|GFLOPs|IoU|JSON|kB|MB|min|MOT|ms|NMS|px|score_thresh|WebP|YOLO)\b")
# What the collecting takes for a text of the page: parts of sentences, which are in the catalogs as a whole, texts for logs, and code.
_NO_TEXTS = {
    *(
        "The image",
        "and",
        "built in)",
        "larger image",
        "larger video",
        "network (kept result)",
        "box head",
        "the rest",
        "of {} MB",
        "{} on {}",
        "{} {}s",
    ),
    *("Bytes of visitors' files at the latest cleaning", "Live streams in the queue", "Live streams that are served"),
    *("Frame", "Icon", "JPEG XL", "Photoshop", "image object", "dining table", "potted plant", "the backbone {}"),
    *("cv-point-name cv-compared", "ev-best ev-model-{}", "ev-mark ev-model-{}", "requestVideoFrameCallback"),
}
_ALL = pytest.mark.parametrize("language", CATALOGS)
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


class Known:
    """The texts that a catalog translates, whole or divided, as `translate.js` does that."""

    def __init__(self, catalog: dict[str, str]) -> None:
        self._fixed = {canonical(key) for key in catalog}
        self._patterns = [self._pattern(key) for key in catalog if _PLACEHOLDER.search(key)]

    def __contains__(self, text: str) -> bool:
        form = canonical(text)
        if {form, sentence_of(form)} & self._fixed or form in _NO_TEXTS or not re.search(r"[^\W\d_]{2}", _NAMES.sub("", form)):
            return True
        if any(match and all(part in self for part in match.groups()) for match in (pattern.fullmatch(form) for pattern in self._patterns)):
            return True
        if form.endswith(".") and (form[:-1] in self._fixed or (form[0].islower() and form[:-1] in self)):
            return True
        pieces = next((pieces for separator in SEPARATORS if len(pieces := re.split(separator, form, maxsplit=1)) > 1), [])
        return bool(pieces) and all(piece in self for piece in pieces)

    @staticmethod
    def _pattern(key: str) -> re.Pattern[str]:
        pieces = _PLACEHOLDER.split(canonical_key(key))
        return re.compile("".join(re.escape(piece) if i % 2 == 0 else _group(piece) for i, piece in enumerate(pieces)))


def canonical_key(key: str) -> str:
    """A key as `canonical` writes a text, but with its placeholders."""
    return re.sub(r"^[\s,;:·(]+|[\s,;:·(]+$", "", " ".join(key.split()))


def _group(name: str) -> str:
    return r"(\{\}|[\d.,]*\d)" if re.fullmatch(r"n\d*", name) else "(.*?)" if name.startswith("rest") else "(.+?)"


def _list(task: str, texts: list[str]) -> str:
    return "\n".join([f"{task}:", *texts])


@pytest.fixture(scope="module")
def sentences() -> Sentences:
    return collect()


@_ALL
def test_no_sentence_is_missing(sentences: Sentences, language: str):
    known = Known(CATALOGS[language])
    missing = [f"{text}  ({source})" for text, source in sentences.shown.items() if text not in known]
    if missing:
        pytest.fail(_list(f"Translate in ui/languages/{language}.json", missing), pytrace=False)


@_ALL
def test_no_sentence_is_left_over(sentences: Sentences, language: str):
    if not has_node():
        pytest.skip("the texts of JavaScript are collected by Node.js and TypeScript")
    left = [key for key in CATALOGS[language] if not {canonical(key), canonical(_PLACEHOLDER.sub("", key))} & sentences.all]
    if left:
        pytest.fail(_list(f"Delete from ui/languages/{language}.json, or add to composed.txt what is still shown", left), pytrace=False)


@_ALL
def test_a_translation_has_the_placeholders_of_its_sentence(language: str):
    def placeholders(text: str) -> list[str]:
        return sorted(_PLACEHOLDER.findall(text))

    wrong = [key for key, translation in CATALOGS[language].items() if placeholders(key) != placeholders(translation)]
    assert not wrong


@_ALL
def test_a_catalog_is_sorted_and_has_no_empty_translation(language: str):
    keys = list(CATALOGS[language])
    assert keys == sorted(keys, key=str.casefold)
    assert all(translation.strip() for translation in CATALOGS[language].values())
