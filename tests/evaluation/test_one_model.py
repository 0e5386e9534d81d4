from __future__ import annotations

import contextlib
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from detection_core.datasets.coco import read_coco
from detection_core.detections import Detections
from detection_core.evaluation import evaluate
from detection_core.formats import to_coco_results
from detection_core.training.augmentation import training_pair
from detection_core.training.recipe import Augmentation
from tests.coco_folders import coco_folder, edit
from tests.factories import COCO_KEYPOINT_NAMES

CATEGORIES = ("__background__", "person", "dog")


class Oracle:
    """Answers with what is annotated, image after image, after `spoil` has had its way with it."""

    def __init__(self, dataset, spoil=lambda found, number: found, categories=None):
        self.images, self.dataset, self.spoil = iter(enumerate(dataset.images)), dataset, spoil
        self.categories = categories or dataset.categories

    def __call__(self, image):
        number, record = next(self.images)
        assert image.shape == (record.size[1], record.size[0], 3)
        boxes = np.array([[x, y, x + w, y + h] for x, y, w, h in (a["bbox"] for a in record.annotations)], np.float32).reshape(-1, 4)
        names = [self.dataset.categories[self.dataset.labels[a["category_id"]]] for a in record.annotations]
        count = len(self.dataset.keypoint_names)
        keypoints = [np.array(a.get("keypoints") or np.zeros(3 * count), float).reshape(-1, 3)[:, :2] for a in record.annotations]
        found = Detections(
            boxes=boxes,
            labels=np.array([self.categories.index(name) for name in names], np.int64),
            scores=np.linspace(0.9, 0.6, len(boxes)) if len(boxes) else np.zeros(0),
            image_size=(record.size[1], record.size[0]),
            categories=self.categories,
            masks=np.ones((len(boxes), 28, 28), np.float32),
            keypoints=np.array(keypoints, np.float32).reshape(-1, count, 2),
            keypoint_scores=np.ones((len(boxes), count), np.float32),
            keypoint_names=self.dataset.keypoint_names,
        )
        return self.spoil(found, number)


@pytest.fixture
def folder(tmp_path):
    return coco_folder(tmp_path, images=6, objects=2, size=(200, 160))


def test_the_truth_itself_scores_a_hundred(folder):
    dataset = read_coco(folder)
    evaluation = evaluate(dataset, Oracle(dataset))
    assert evaluation.tasks["boxes"].ap == pytest.approx(100)
    assert evaluation.tasks["keypoints"].ap == pytest.approx(100)
    # A full box is not an ellipse, but overlaps it by more than half.
    assert evaluation.tasks["masks"].ap50 == pytest.approx(100)
    assert evaluation.metrics().keys() == {"box_map", "mask_map", "kp_map"}
    assert evaluation.best().f1 == pytest.approx(1)


def shifted(found, number):
    boxes = found.boxes + np.random.default_rng(number).uniform(-14, 14, found.boxes.shape).astype(np.float32)
    return replace(found, boxes=np.sort(boxes.reshape(-1, 2, 2), axis=1).reshape(-1, 4))


def half_missed(found, number):
    return found[:1] if number % 2 else found


@pytest.mark.parametrize("spoil", [shifted, half_missed], ids=lambda spoil: spoil.__name__)
def test_boxes_equal_pycocotools_run_directly(folder, spoil):
    dataset = read_coco(folder)
    mine = evaluate(dataset, Oracle(dataset, spoil)).tasks["boxes"]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(folder / "annotations.json")
        oracle = Oracle(dataset, spoil)
        results = [
            {key: entry[key] for key in ("image_id", "category_id", "score", "bbox")}
            for image in dataset.images
            for entry in to_coco_results(oracle(np.zeros((image.size[1], image.size[0], 3))), image.id)
        ]
        reference = COCOeval(truth, truth.loadRes(results), "bbox")
        reference.evaluate()
        reference.accumulate()
        reference.summarize()
    assert 0 < reference.stats[0] < 1
    assert mine.ap == pytest.approx(100 * reference.stats[0])
    assert mine.ap50 == pytest.approx(100 * reference.stats[1])


def test_classes_are_matched_by_name_and_unknown_ones_left_out(folder):
    dataset = read_coco(folder)
    other = ("__background__", "horse", "dog", "N/A", "person")
    assert evaluate(dataset, Oracle(dataset, categories=other)).tasks["boxes"].ap == pytest.approx(100)


def only_persons_have_keypoints(found, number):
    """As of a model that gives keypoints for persons only; one person's are in the corner."""
    points, logits = found.keypoints.copy(), found.keypoint_scores.copy()
    if number == 1:
        points[:] = 0
    without = np.array(found.names) != "person"
    points[without], logits[without] = np.nan, np.nan
    return replace(found, keypoints=points, keypoint_scores=logits)


def zeros_for_dogs(data):
    for annotation in data["annotations"]:
        annotation.setdefault("keypoints", [0] * 51)
        annotation.setdefault("num_keypoints", 0)


@pytest.mark.parametrize("change", [lambda data: None, zeros_for_dogs], ids=["dogs without", "zeros for dogs"])
def test_keypoints_of_persons_are_measured_among_other_classes(tmp_path, change):
    """As pycocotools measures them for persons alone; boxes and masks are those of all."""
    folder = edit(coco_folder(tmp_path, size=(200, 160), keypoint_names=tuple(COCO_KEYPOINT_NAMES)), change)
    dataset = read_coco(folder)
    tasks = evaluate(dataset, Oracle(dataset, only_persons_have_keypoints)).tasks
    assert tasks["boxes"].ap == tasks["masks"].ap50 == pytest.approx(100)
    oracle = Oracle(dataset, only_persons_have_keypoints)
    results = [entry for image in dataset.images for entry in to_coco_results(oracle(np.zeros((*image.size[::-1], 3))), image.id)]
    assert ["keypoints" in entry for entry in results] == [True, False] * 4
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(folder / "annotations.json")
        reference = COCOeval(truth, truth.loadRes(results), "keypoints")
        reference.params.catIds = truth.getCatIds(catNms=["person"])
        reference.evaluate()
        reference.accumulate()
        reference.summarize()
    assert 0 < reference.stats[0] < 1
    assert tasks["keypoints"].ap == pytest.approx(100 * reference.stats[0])


def test_an_image_without_persons_leaves_keypoints_to_be_found(tmp_path):
    """A model that gives keypoints, but finds no person, is measured by them as well."""
    dataset = read_coco(coco_folder(tmp_path, keypoint_names=tuple(COCO_KEYPOINT_NAMES)))
    figures = evaluate(dataset, Oracle(dataset, lambda found, number: only_persons_have_keypoints(found, number)[found.labels == 2])).tasks
    assert figures["keypoints"].ap == 0


def test_crowds_count_neither_way(tmp_path):
    with_crowds = read_coco(coco_folder(tmp_path / "crowds", crowds=True))
    assert all(image.crowds for image in with_crowds.images)
    assert evaluate(with_crowds, Oracle(with_crowds)).tasks["boxes"].ap == pytest.approx(100)


def test_masks_are_measured_where_images_have_them(folder):
    data = json.loads((folder / "annotations.json").read_text())
    data["images"][0]["has_masks"] = False
    (folder / "annotations.json").write_text(json.dumps(data))
    dataset = read_coco(folder)
    tasks = evaluate(dataset, Oracle(dataset)).tasks
    assert (tasks["boxes"].images, tasks["masks"].images) == (6, 5)


def nothing(found, _):
    return found[:0]


def test_finding_nothing_scores_nothing(folder):
    dataset = read_coco(folder)
    evaluation = evaluate(dataset, Oracle(dataset, nothing))
    assert evaluation.metrics() == {"box_map": 0, "mask_map": 0, "kp_map": 0}
    assert evaluation.best() is None
    assert evaluation.default_threshold(0.05) is None


def test_where_there_is_nothing_to_find_there_is_no_figure(tmp_path):
    dataset = read_coco(coco_folder(tmp_path, images=2, empty=2))
    evaluation = evaluate(dataset, Oracle(dataset))
    assert set(evaluation.tasks) == {"boxes", "keypoints"}
    assert {value for figures in evaluation.figures().values() for name, value in figures.items() if name != "images"} == {None}
    assert evaluation.metrics() == {}


def test_where_all_is_wrong_no_threshold_is_the_best(folder):
    dataset = read_coco(folder)
    wrong = Oracle(dataset, lambda found, _: replace(found, boxes=np.zeros_like(found.boxes) + np.float32([0, 0, 3, 3])))
    evaluation = evaluate(dataset, wrong)
    assert evaluation.points
    assert evaluation.best() is None
    assert evaluation.default_threshold(0.05) is None


@pytest.mark.parametrize("given", [None, 0, 3], ids=["absent", "zero", "as it is"])
def test_keypoints_are_measured_whatever_their_count_says(folder, given):
    def change(data):
        for annotation in data["annotations"]:
            annotation.pop("num_keypoints", None)
            annotation.update({} if given is None else {"num_keypoints": given})

    dataset = read_coco(edit(folder, change))
    assert evaluate(dataset, Oracle(dataset)).tasks["keypoints"].ap == pytest.approx(100)
    assert evaluate(dataset, Oracle(dataset, nothing)).tasks["keypoints"].ap == 0


@pytest.mark.parametrize("field", ["iscrowd", "area", "segmentation", "keypoints"])
def test_null_is_as_good_as_absent(folder, field):
    edit(folder, lambda data: [annotation.update({field: None}) for annotation in data["annotations"][::3]])
    dataset = read_coco(folder)
    tasks = evaluate(dataset, Oracle(dataset)).tasks
    assert tasks["boxes"].ap == pytest.approx(100)
    assert tasks["masks"].ap50 == tasks["keypoints"].ap == pytest.approx(100)


def boxes_only(found, _):
    return replace(found, masks=None, keypoints=None, keypoint_scores=None, keypoint_names=())


def test_what_is_not_measured_may_be_faulty(folder):
    oracle = Oracle(read_coco(folder), boxes_only)
    faulty = read_coco(edit(folder, lambda data: [a.update(keypoints="abc", segmentation=[[1]]) for a in data["annotations"]]))
    assert evaluate(faulty, oracle).tasks["boxes"].ap == pytest.approx(100)


def keypoints_moved(found, _):
    return replace(found, keypoints=found.keypoints + 1.5)


def test_only_coco_s_own_keypoints_have_coco_s_tolerances(tmp_path):
    """COCO allows its 17 keypoints much less on the face than 17 other ones are allowed anywhere."""
    own = read_coco(coco_folder(tmp_path / "coco", keypoint_names=tuple(COCO_KEYPOINT_NAMES)))
    others = read_coco(coco_folder(tmp_path / "others", keypoint_names=tuple(f"{name} of a dog" for name in COCO_KEYPOINT_NAMES)))
    few = read_coco(coco_folder(tmp_path / "few", keypoint_names=tuple(COCO_KEYPOINT_NAMES[:5])))
    figures = [evaluate(dataset, Oracle(dataset, keypoints_moved)).tasks["keypoints"].ap for dataset in (own, others, few)]
    assert 0 < figures[0] < figures[1] == figures[2]


def oriented(file):
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(file) as opened:
        opened.copy().save(file, exif=exif)


def of_a_rare_format(file):
    with Image.open(file) as opened:
        opened.copy().save(file, "PPM")


@pytest.mark.parametrize("change", [oriented, of_a_rare_format, lambda file: None], ids=["oriented", "rare format", "long and thin"])
def test_images_are_read_as_for_training(tmp_path, change):
    size = (3000, 12) if change.__name__ == "<lambda>" else (60, 40)
    folder = coco_folder(tmp_path, images=1, size=size, objects=1)
    change(folder / "images" / "1.png")
    dataset = read_coco(folder)
    oracle, images = Oracle(dataset), []
    evaluation = evaluate(dataset, lambda image: images.append(image) or oracle(image))
    image, _ = training_pair(dataset.images[0], dataset, Augmentation.none(), 0, ("boxes",))
    assert np.array_equal(images[0], (image * 255).round().byte().permute(1, 2, 0).numpy())
    assert evaluation.tasks["boxes"].ap == pytest.approx(100)


def test_operating_points_count_right_and_wrong_boxes(folder):
    dataset = read_coco(folder)

    def second_is_wrong(found, _):
        boxes = found.boxes.copy()
        boxes[1] = (0, 0, 3, 3)
        return replace(found, boxes=boxes)

    evaluation = evaluate(dataset, Oracle(dataset, second_is_wrong))
    # Of two objects an image, the first is found at 0.9 and the second one's box, at 0.6, is nowhere near.
    high, low = evaluation.at(0.8), evaluation.at(0.5)
    assert (high.precision, high.recall) == (1, pytest.approx(0.5))
    assert (low.precision, low.recall) == (pytest.approx(0.5), pytest.approx(0.5))
    assert evaluation.best().threshold == pytest.approx(0.9)
    # From 0.65 to 0.85 only what is right is left.
    assert evaluation.default_threshold(0.05) == pytest.approx(0.75)
