"""Finds the files of a data set's images, and puts the annotations of several entries of one file together."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from PIL import Image

from detection_core.datasets.image_finder import FoundImage, ImageFinder
from detection_core.datasets.normalization import Entry, is_missing, one_line


def located(entries: list[Any], finder: ImageFinder, notes: list[str]) -> list[Any]:
    """Images with the places of their files, and with the size of the file where they have none."""
    found = [
        finder.find(entry["file_name"]) if isinstance(entry, dict) and isinstance(entry.get("file_name"), str) else None
        for entry in entries
    ]
    names = defaultdict(set)
    for entry, image in zip(entries, found, strict=True):
        if image is not None and image.shortened:
            names[image.path].add(entry["file_name"])
    placed, sizes = [], 0
    for entry, image in zip(entries, found, strict=True):
        if image is None:
            placed.append(entry)
            continue
        # Names of different folders that end alike are of different images.
        if image.shortened and len(names[image.path]) > 1:
            image = FoundImage(finder.place_of(entry["file_name"]), several=(image.path.name,))
        place = {"path": image.path, "several": image.several}
        no_size = is_missing(entry.get("width")) or is_missing(entry.get("height"))
        if no_size and (size := stored_size(image.path)):
            sizes += 1
            place |= {"width": size[0], "height": size[1]}
        placed.append({**entry, **place})
    guesses = [(entry["file_name"], image.path) for entry, image in zip(entries, found, strict=True) if image and image.is_guess]
    guesses = [guess for guess in guesses if len(names[guess[1]]) < 2]
    if guesses:
        name, path = guesses[0]
        count = f"{len(guesses)} image{'s are' if len(guesses) != 1 else ' is'}"
        top = finder.folder if path.is_relative_to(finder.folder) else finder.folder.parent
        shown = path.relative_to(top).as_posix()
        notes.append(f"{count} found by a part of the name or another way to write it, such as {shown} for “{one_line(name)}”.")
    if sizes:
        notes.append(f"The size of {sizes} image{'s' * (sizes != 1)} is read from the file, as the annotations do not tell it.")
    return placed


def stored_size(path: Path) -> tuple[int, int] | None:
    """Returns the (width, height) of a file's stored pixels, or None if it cannot be read: that is found when images are checked."""
    try:
        with Image.open(path) as opened:
            return opened.size
    except Exception:  # Pillow's readers raise nearly everything on broken files.
        return None


def each_file_once(images: list[Entry], annotations: list[Entry], notes: list[str]) -> tuple[list[Entry], list[Entry]]:
    """Images and annotations, with all annotations of a file at its first entry: objects are no background in the others."""
    firsts: dict[Path, Entry] = {}
    replaced: dict[int, int] = {}
    once = []
    ids = Counter(image["id"] for image in images)
    for image in images:
        first = firsts.setdefault(image["path"], image)
        same = first is not image and image["path"].is_file()
        if not same or (ids[image["id"]] > 1 and image["id"] != first["id"]):
            once.append(image)
        elif image["id"] != first["id"]:
            replaced[image["id"]] = first["id"]
    if len(once) == len(images):
        return images, annotations
    merged, seen = [], set()
    for annotation in annotations:
        image_id = replaced.get(annotation["image_id"], annotation["image_id"])
        drawn = (image_id, annotation["category_id"], str(annotation.get("bbox")), str(annotation.get("segmentation")))
        if image_id in replaced.values() and drawn in seen:
            continue
        seen.add(drawn)
        merged.append({**annotation, "image_id": image_id})
    double = f", but for {len(annotations) - len(merged)} that are there twice" if len(merged) < len(annotations) else ""
    again = len(images) - len(once)
    notes.append(
        f"{again} image{'s are' if again != 1 else ' is'} listed again under another id; their annotations are put together{double}."
    )
    return once, merged
