"""Numbering: the ids that images and classes have in COCO's formats, which are the user's own wherever they are known."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import PurePosixPath
from typing import NamedTuple

from detection_core.detections import Detections
from detection_core.detections.coco_names import COCO_CLASSES

# A number alone, as in COCO since 2017, or after the name of a split, as in COCO 2014. Longer ones are no 64-bit integers.
_NUMBER = re.compile(r"(?:COCO_\w+_)?([0-9]{1,18})", re.ASCII)
_BETWEEN_WORDS = re.compile(r"[\s_-]+")

Id = int | str


class Category(NamedTuple):
    """A category of an annotation file, with its id as the file has it."""

    id: Id
    name: str


@dataclass(frozen=True)
class Numbering:
    """The ids of certain images, and of classes.

    Attributes:
        image_ids: One for each of the images, in their order; None for an image that the annotation file does not list.
        images: How the images are numbered, as the beginning of a sentence.
        file: Name of the annotation file that the ids are from; "" if there is none, and categories have the model's ids.
        categories: The categories of that file.
        sizes: The (width, height) that the file has for images, by their ids, as far as it has any.
        first_free: The first image id that neither the file nor another image has.
        notes: Sentences for the user, such as which images the file does not list.
    """

    image_ids: tuple[Id | None, ...]
    images: str
    file: str = ""
    categories: tuple[Category, ...] = ()
    sizes: Mapping[Id, tuple[int, int]] = field(default_factory=dict)
    first_free: int = 1
    notes: tuple[str, ...] = ()

    def category(self, name: str) -> Category | None:
        """Returns the file's category for a class: of the same name, or the only one that differs in case, spaces, “_” and “-” alone."""
        return self._by_name.get(name) or self._by_words.get(_words(name))

    def category_ids(self, found: Detections) -> list[Id | None]:
        """Returns the category id of each label; None for a class that the annotation file does not have."""
        if not self.file:
            return list(found.ids_of_labels)
        return [category and category.id for category in map(self.category, found.categories)]

    def sentence(self, categories: Sequence[str], category_ids: Sequence[int]) -> str:
        """Returns in one sentence which ids images and categories have.

        Args:
            categories: The model's class names by label.
            category_ids: Their ids in its training data, or empty.
        """
        if self.file:
            return f"{self.images}; so are category ids."
        return f"{self.images}; category ids are {_origin(categories, category_ids)}."

    @cached_property
    def _by_name(self) -> dict[str, Category]:
        return {category.name: category for category in reversed(self.categories)}

    @cached_property
    def _by_words(self) -> dict[str, Category | None]:
        found: dict[str, Category | None] = {}
        for category in self._by_name.values():
            words = _words(category.name)
            found[words] = None if words in found else category
        return found


COUNTED = Numbering((), "Images are numbered from 1 in the order in which they were added")


def number_images(names: Sequence[str]) -> Numbering:
    """Numbers images without an annotation file.

    Args:
        names: Their names, which may include folders.

    Returns:
        The numbers that the names are (`000000000139.jpg` is 139, and so is `COCO_val2014_000000000139.jpg`) if all are and no two are the
        same, else 1, 2, 3 … in the order of the names.
    """
    numbers = [_number_in(name) for name in names]
    known = [number for number in numbers if number is not None]
    if known and len(set(known)) == len(numbers):
        return Numbering(tuple(numbers), "Image ids are the numbers in the file names", first_free=max(known) + 1)
    why = "" if not known else ", as not all file names are numbers" if len(known) < len(numbers) else ", as file names share a number"
    how = f"Images are numbered 1–{len(names)} in the order processed{why}" if len(names) != 1 else "The image has the id 1"
    return Numbering(tuple(range(1, len(names) + 1)), how, first_free=len(names) + 1)


def shortened_list(items: Sequence[str], shown: int = 5) -> str:
    """Returns the first items as a phrase: "a, b, c, d, e and 7 more"."""
    return ", ".join(items[:shown]) + (f" and {len(items) - shown} more" if len(items) > shown else "")


def highest(ids: Iterable[Id | None]) -> int:
    """Returns the highest of the ids that are numbers; 0 if there is none."""
    return max((number for number in ids if isinstance(number, int)), default=0)


def _number_in(name: str) -> int | None:
    found = _NUMBER.fullmatch(PurePosixPath(name.replace("\\", "/")).stem)
    return int(found[1]) if found else None


@cache
def _words(name: str) -> str:
    return _BETWEEN_WORDS.sub(" ", unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())).strip()


def _origin(categories: Sequence[str], category_ids: Sequence[int]) -> str:
    if category_ids:
        return "those of the model's training data"
    return "COCO's" if tuple(categories) == COCO_CLASSES[: len(categories)] else "the model's labels"
