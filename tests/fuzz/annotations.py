"""Fuzzes the readers of detections, data sets and class names."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

from detection_core.datasets.annotation_checks import annotation_problems
from detection_core.datasets.checks import check, without_faults
from detection_core.datasets.coco import read_coco, split
from detection_core.datasets.numbering import read_numbering
from detection_core.errors import UserError
from detection_core.formats import ResultsFormatError, from_json, import_coco_results, read_class_names, to_json
from tests.coco_folders import coco_folder
from tests.factories import make_detections
from tests.fuzz.checks import check_detections, check_message, require
from tests.fuzz.mutation import json_mutator, mutated_bytes, random_value
from tests.fuzz.readers import Reader

_SIZE = (48, 64)
_BOX = {"image_id": 1, "category_id": 1, "bbox": [1, 2, 30, 40], "score": 0.5}
_CLASSES = ("__background__", "person", "dog")


def _dumped(*values: Any) -> list[bytes]:
    return [json.dumps(value).encode() for value in values]


def _coco_seeds(folder: Path) -> list[bytes]:
    counts = [100, 3, 45, 3, 48 * 64 - 151]
    results = [
        _BOX,
        _BOX | {"segmentation": [[1, 2, 30, 2, 30, 40]], "area": 500.0, "iscrowd": 0},
        _BOX | {"segmentation": {"size": list(_SIZE), "counts": counts}},
        _BOX | {"segmentation": {"size": list(_SIZE), "counts": "T3" + "3Z1" + "0" * 3}, "category_name": "cat"},
        _BOX | {"keypoints": [5, 6, 0.5] * 17, "keypoint_scores": [1.5] * 17, "id": 7},
        _BOX | {"image_id": "a.jpg", "file_name": "a.jpg", "category_id": "dog"},
    ]
    images = [{"id": 1, "file_name": "a.jpg", "width": 64, "height": 48}, {"id": 2, "file_name": "b/c.jpg", "width": 64, "height": 48}]
    categories = [{"id": 1, "name": "person", "keypoints": ["nose"] * 17, "skeleton": [[1, 2]]}, {"id": 3, "name": "dog"}]
    scoreless = [{key: value for key, value in entry.items() if key != "score"} for entry in results[:3]]
    dataset = {"info": {}, "images": images, "annotations": results[:3], "categories": categories}
    return _dumped(results[:1], results[:5], results, dataset, dataset | {"annotations": scoreless}, {"predictions": results[:2]}, _BOX)


def _read_coco(data: bytes, folder: Path) -> object:
    accepted = None
    refusal: UserError | None = None
    ways: list[dict[str, Any]] = [{}, {"skip_invalid": True, "file_name": "a.jpg", "compared": {"Model": _CLASSES}}, {"image_id": "1"}]
    for way in ways:
        try:
            accepted = import_coco_results(data, _SIZE, **way)
        except ResultsFormatError as error:
            refusal = error
            check_message(str(error))
            continue
        for note in accepted.notes:
            check_message(note)
        check_detections(accepted.detections)
    if accepted is None and refusal is not None:
        raise refusal
    return accepted


def _dataset_seeds(folder: Path) -> list[bytes]:
    small = {"size": (32, 24), "images": 3}
    ways: list[dict[str, Any]] = [{}, {"segmentation": "rle"}, {"segmentation": "counts", "crowds": True}, {"masks": False, "empty": 1}]
    found = []
    for number, way in enumerate(ways):
        found.append((coco_folder(folder / f"data{number}", **small, **way) / "annotations.json").read_bytes())
    return found


def _read_dataset(data: bytes, folder: Path) -> object:
    place = folder / "data0"
    file = place / "annotations.json"
    file.write_bytes(data)
    known = [str(place), place.name]
    try:
        dataset = read_coco(place)
        for note in dataset.notes:
            check_message(note, known=known)
        faults = check(dataset, ("boxes", "masks", "keypoints"))
        for fault in faults[:20]:
            check_message(str(fault), known=known)
        rest = without_faults(dataset, faults).dataset
        require(not check(rest, ("boxes", "masks", "keypoints")), "what is left without faults has faults")
        if len(rest.images) > 1:
            split(rest, 0.5)
        require(rest.has_masks in (True, False) and rest.has_keypoints in (True, False) and rest.keypoint_labels is not None, "")
        for image in rest.images:
            for annotation in image.annotations:
                require(not list(annotation_problems(annotation, image, rest, ("boxes",))), "a fault remains")
    except UserError as error:
        check_message(str(error), known=known)
        raise UserError("It is refused.") from error
    return dataset


def _numbering_seeds(folder: Path) -> list[bytes]:
    images = [{"id": 1, "file_name": "a.jpg", "width": 64, "height": 48}, {"id": 2, "file_name": "images/b/c.jpg"}]
    categories = [{"id": 1, "name": "person", "supercategory": "x"}, {"id": 18, "name": "dog"}, {"id": 3, "name": "Car"}]
    data = {"info": {"year": 2020}, "images": images, "categories": categories, "annotations": []}
    texts = [{**image, "id": f"id {image['id']}"} for image in images]
    return _dumped(data, data | {"images": texts}, data | {"images": {"0": images[0], "1": images[1]}})


def _read_numbering(data: bytes, folder: Path) -> object:
    file = folder / "annotations.json"
    file.write_bytes(data)
    found = make_detections(2, image_size=_SIZE, masks=True)
    numbering = read_numbering(file, ["a.jpg", "b/c.jpg", "d.jpg"], found.categories, title="my file.json")
    for text in (*numbering.notes, numbering.sentence(found.categories, found.category_ids)):
        check_message(text)
    check_detections(found, numbering)
    return numbering


def _class_seeds(folder: Path) -> list[bytes]:
    texts = [
        "a\ncat\ndog\n", "names: [a, b, c]\nnc: 3\n", "names:\n  0: person\n  1: dog\n", "path: x\ntrain: images\nnames:\n- a\n- 'b c'\n",
        "a: &a [x, x]\nb: &b [*a, *a]\nnames: *b\n", '{"categories": [{"id": 1, "name": "a"}, {"id": 7, "name": "b"}]}', '["a", "b"]',
        '{"categories": {"0": "a", "1": "b"}}', "!!python/object/apply:os.system ['true']\n", "names: {1: 2020-01-01, 2: 1.5, 3: ~}\n",
    ]  # fmt: skip
    return [text.encode() for text in texts]


def _mutated_classes(random: Random, seeds: Sequence[bytes]) -> bytes:
    data = mutated_bytes(random, seeds)
    if random.random() < 0.4:
        mark = random.choice((b"a", b"b", b"names", b"0", b"1", b":"))
        data = data.replace(
            mark, json.dumps(random_value(random), ensure_ascii=random.random() < 0.5).encode("utf-8", "surrogatepass")[:2000], 1
        )
    return data


def _read_classes(data: bytes, folder: Path) -> object:
    refusal = accepted = None
    for ending in ("txt", "yaml", "json"):
        file = folder / f"classes.{ending}"
        file.write_bytes(data)
        try:
            accepted = read_class_names(file)
        except ResultsFormatError as error:
            refusal = error
            check_message(str(error))
            continue
        names = [*accepted.names, *(accepted.by_id or {}).values()]
        require(names and all(name and name.isprintable() and len(name) <= 110 for name in names), f"names are {names!r:.300}")
        imported = import_coco_results([_BOX, _BOX | {"category_id": 0}], _SIZE, class_list=accepted)
        for note in imported.notes:
            check_message(note)
        check_detections(imported.detections)
    if accepted is None and refusal is not None:
        raise refusal
    return accepted


def _own_seeds(folder: Path) -> list[bytes]:
    ways: list[dict[str, Any]] = [{}, {"masks": True}, {"keypoints": True}, {"masks": True, "keypoints": [1]}]
    return _dumped(*(to_json(make_detections(2, image_size=_SIZE, model="a model", **way)) for way in ways))


def _read_own(data: bytes, folder: Path) -> object:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise UserError("This is not JSON.") from None
    found = from_json(value)
    check_detections(found)
    return found


def _structure_or_bytes(share: float) -> Callable[[Random, Sequence[bytes]], bytes]:
    def mutate(random: Random, seeds: Sequence[bytes]) -> bytes:
        return json_mutator(random, seeds) if random.random() < share else mutated_bytes(random, seeds)

    return mutate


COCO_RESULTS = Reader(_coco_seeds, _structure_or_bytes(0.85), _read_coco)
COCO_DATASETS = Reader(_dataset_seeds, _structure_or_bytes(0.9), _read_dataset)
NUMBERING = Reader(_numbering_seeds, _structure_or_bytes(0.85), _read_numbering)
CLASS_LISTS = Reader(_class_seeds, _mutated_classes, _read_classes)
OWN_JSON = Reader(_own_seeds, _structure_or_bytes(0.9), _read_own)
