"""Running models on annotated images: progress, cancellation, resumption, and what several models give together."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from detection_core.datasets.coco import DataError, read_coco
from detection_core.detections import Detections
from detection_core.engine import EngineError, Job, Result
from detection_core.evaluation import Candidate, EvaluationError, EvaluationOptions, EvaluationRun, evaluate
from detection_core.formats import ResultsFormatError
from detection_core.models.catalog import COCO_MODEL, PERSON_MODEL, get_model_spec
from detection_core.models.detector import Timings
from tests.coco_folders import coco_folder
from tests.evaluation.test_average_precision import KEYPOINT_STATS, STATS
from tests.factories import COCO_KEYPOINT_NAMES
from tests.ui.model_files import put_model

COCO_SPEC, PERSON = get_model_spec(COCO_MODEL), get_model_spec(PERSON_MODEL)


class FakeEngine:
    """Finds what is annotated, or nothing where the model does not have the class; counts the images that are in memory."""

    max_in_flight = 1

    def __init__(self, dataset, failing: str = ""):
        self.images = {image.path.read_bytes(): image for image in dataset.images}
        self.dataset, self.failing, self.submitted, self.in_flight = dataset, failing, [], 0

    def submit(self, image, spec, *, visitor="", measure=False, keep=True, tasks=None):
        record = next(r for content, r in self.images.items() if _digest(content) == image.digest)
        self.submitted.append((spec.key, record.id, tuple(tasks), measure))
        job = Job(spec, visitor)
        if spec.key == self.failing:
            job.future.set_exception(EngineError("There is too little memory."))
            return job
        names = {name: label for label, name in enumerate(spec.categories)}
        entries = [(a, self.dataset.categories[self.dataset.labels[a["category_id"]]]) for a in record.annotations]
        entries = [(a, name) for a, name in entries if name in names]
        boxes = np.array([a["bbox"] for a, _ in entries], np.float32).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        found = Detections(
            boxes=boxes,
            labels=np.array([names[name] for _, name in entries], np.int64),
            scores=np.full(len(entries), 0.9, np.float32),
            image_size=record.size[::-1],
            categories=spec.categories,
            masks=np.ones((len(entries), 28, 28), np.float32) if "masks" in tasks else None,
        )
        timings = Timings(network=0.2, post=0.1)
        job.future.set_result(Result(found, timings, spec, first_run=record.id == 1, memory=2**20 if measure else None))
        return job


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def dataset(tmp_path):
    return read_coco(coco_folder(tmp_path / "data", images=5))


def test_every_image_of_every_model_is_a_step(dataset):
    engine = FakeEngine(dataset)
    run = EvaluationRun(dataset, [Candidate(COCO_SPEC), Candidate(PERSON)], engine)
    steps = list(run.run())
    assert [(step.model, step.image.id, step.done, step.total) for step in steps] == [
        (spec.key, image, 5 * number + image, 10) for number, spec in enumerate((COCO_SPEC, PERSON)) for image in range(1, 6)
    ]
    evaluated = run.evaluated()
    assert [model.name for model in evaluated.models] == [COCO_MODEL, PERSON_MODEL]
    assert evaluated[COCO_MODEL].figures.summary["AP"] == pytest.approx(1)
    # It has no dogs, which are half of the classes.
    assert evaluated[PERSON_MODEL].figures.summary["AP"] == pytest.approx(0.5)
    assert "It does not detect “dog”" in evaluated[PERSON_MODEL].notes[0]
    cost = evaluated[COCO_MODEL].cost
    assert (cost.seconds, cost.memory, cost.file_size) == (pytest.approx(0.3), 2**20, COCO_SPEC.file_size)
    assert [measure for *_, measure in engine.submitted[:5]] == [False, True, True, True, False]


def test_a_cancelled_run_continues_where_it_stopped(dataset, tmp_path):
    first, again = FakeEngine(dataset), FakeEngine(dataset)
    run = EvaluationRun(dataset, [Candidate(COCO_SPEC)], first, tmp_path / "out")
    for step in run.run():
        if step.done == 3:
            break
    assert len(first.submitted) == 3
    assert run.evaluated().failed == {COCO_MODEL: "Only 3 of 5 images are done."}
    run = EvaluationRun(dataset, [Candidate(COCO_SPEC)], again, tmp_path / "out")
    assert [step.reused for step in run.run()] == [True] * 3 + [False] * 2
    assert [image for _, image, *_ in again.submitted] == [4, 5]
    assert run.evaluated()[COCO_MODEL].figures.summary["AP"] == pytest.approx(1)


@pytest.mark.parametrize("change", ["image", "weights", "tasks", "record"])
def test_what_has_changed_runs_again(dataset, tmp_path, change):
    list(EvaluationRun(dataset, [Candidate(COCO_SPEC)], FakeEngine(dataset), tmp_path).run())
    spec, tasks = COCO_SPEC, ["boxes"]
    if change == "image":
        path = dataset.images[2].path
        path.write_bytes(path.read_bytes() + b"more")
    elif change == "weights":
        spec = replace(COCO_SPEC, revision="another")
    elif change == "tasks":
        tasks = ["boxes", "masks"]
    else:
        (tmp_path / "raw" / COCO_MODEL / "3.json").write_text('{"format": "another"}')
    engine = FakeEngine(dataset)
    run = EvaluationRun(dataset, [Candidate(spec)], engine, tmp_path, tasks=tasks)
    list(run.run())
    assert [image for _, image, *_ in engine.submitted] == ([1, 2, 3, 4, 5] if change in ("weights", "tasks") else [3])
    if change == "tasks":
        assert run.evaluated("segm")[COCO_MODEL].figures.summary["AP50"] == pytest.approx(1)


def test_fewer_tasks_need_no_model(dataset, tmp_path):
    list(EvaluationRun(dataset, [Candidate(COCO_SPEC)], FakeEngine(dataset), tmp_path, tasks=["boxes", "masks"]).run())
    run = EvaluationRun(dataset, [Candidate(COCO_SPEC)], FakeEngine(dataset), tmp_path)
    assert all(step.reused for step in run.run())
    assert run.evaluated().models


def test_a_failed_model_leaves_the_others(dataset):
    run = EvaluationRun(dataset, [Candidate(COCO_SPEC), Candidate(PERSON)], FakeEngine(dataset, failing=COCO_MODEL))
    steps = list(run.run())
    assert [step.error is None for step in steps] == [False] + [True] * 5
    assert steps[-1].done == steps[-1].total == 10
    evaluated = run.evaluated()
    assert (list(evaluated.failed), [model.name for model in evaluated.models]) == ([COCO_MODEL], [PERSON_MODEL])


@pytest.mark.parametrize("sources", [[], [COCO_SPEC, COCO_SPEC], [replace(COCO_SPEC, key=f"{number}") for number in range(5)]])
def test_candidates_that_cannot_be_distinguished(dataset, sources):
    with pytest.raises(EvaluationError):
        EvaluationRun(dataset, [Candidate(source) for source in sources], FakeEngine(dataset))


def results_file(dataset, path, ids=None, **changes):
    """A results file that finds what is annotated."""
    entries = [
        {"image_id": image.id if ids is None else ids(image), "category_id": a["category_id"], "bbox": a["bbox"], "score": 0.8, **changes}
        for image in dataset.images
        for a in image.annotations
    ]
    path.write_text(json.dumps(entries))
    return path


@pytest.mark.parametrize("ids", [None, lambda image: image.path.stem, lambda image: int(image.path.stem)], ids=["ids", "names", "numbers"])
def test_results_of_other_tools(tmp_path, ids):
    """COCO's ids, or what Ultralytics writes: file names, as numbers where they are."""
    dataset = read_coco(coco_folder(tmp_path / "data", category_ids=(18, 1)))
    if ids is not None:
        dataset = replace(dataset, images=tuple(replace(i, id=i.id + 100, annotations=i.annotations) for i in dataset.images))
    evaluated = evaluate(dataset, [results_file(dataset, tmp_path / "others.json", ids)], engine=FakeEngine(dataset))
    model = evaluated["others"]
    assert (model.figures.summary["AP"], model.threshold, model.notes) == (pytest.approx(1), 0.5, ())


def test_a_data_set_with_scores_names_its_own_categories(dataset, tmp_path):
    file = results_file(dataset, tmp_path / "others.json", category_id=7)
    file.write_text(json.dumps({"annotations": json.loads(file.read_text()), "categories": [{"id": 7, "name": "Dog"}]}))
    model = evaluate(dataset, [str(file)], engine=FakeEngine(dataset))["others"]
    assert model.mapping.partners == {"Dog": "dog"}
    assert model.mapping.not_detected == ("person",)


@pytest.mark.parametrize("form", ["polygons", "rle", "counts"])
def test_figures_of_other_tools_are_those_of_pycocotools(tmp_path, form):
    """Masks in every form, boxes that leave the image, and keypoints, with the numbers of the file."""
    folder = coco_folder(tmp_path / "data", images=6, segmentation=form, keypoint_names=tuple(COCO_KEYPOINT_NAMES), categories=("person",))
    rng = np.random.default_rng(0)
    entries = []
    for a in json.loads((folder / "annotations.json").read_text())["annotations"]:
        shift = rng.normal(0, 6, 2).round(3).tolist()
        box = [a["bbox"][0] + shift[0] - 9, a["bbox"][1] + shift[1], a["bbox"][2], a["bbox"][3]]
        points = np.add(np.reshape(a["keypoints"], (-1, 3)), (*shift, -1)).ravel().tolist()
        mask = a["segmentation"]
        if form == "polygons":
            mask = [(np.array(ring).reshape(-1, 2) + shift).ravel().tolist() for ring in mask]
        score = float(rng.random())
        entries.append(
            {"image_id": a["image_id"], "category_id": 1, "score": score, "bbox": box, "segmentation": mask, "keypoints": points}
        )
    (tmp_path / "others.json").write_text(json.dumps(entries))
    dataset = read_coco(folder)
    for iou_type, part in (("bbox", "bbox"), ("segm", "segmentation"), ("keypoints", "keypoints")):
        options = EvaluationOptions(iou_type=iou_type, resamples=0)
        summary = evaluate(folder, [tmp_path / "others.json"], options=options, engine=FakeEngine(dataset))["others"].figures.summary
        with contextlib.redirect_stdout(io.StringIO()):
            truth = COCO(folder / "annotations.json")
            kept = [{key: entry[key] for key in ("image_id", "category_id", "score", part)} for entry in entries]
            # loadRes takes only compressed run lengths.
            kept = [{**entry, part: truth.annToRLE(entry)} if iou_type == "segm" else entry for entry in kept]
            reference = COCOeval(truth, truth.loadRes(kept), iou_type)
            reference.evaluate()
            reference.accumulate()
            reference.summarize()
        assert 0 < reference.stats[0] < 1 or (iou_type, form) in {("segm", "rle"), ("segm", "counts")}
        names = KEYPOINT_STATS if iou_type == "keypoints" else STATS
        mine = [-1 if summary[name] is None else summary[name] for name in names]
        np.testing.assert_allclose(mine, reference.stats, atol=1e-9, rtol=0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        ("{", "not valid JSON"),
        ('{"images": []}', "not a COCO file"),
        ("[1]", r"results\[0\] must be an object"),
        ('[{"image_id": 99, "category_id": 1, "bbox": [1, 1, 5, 5], "score": 0.5}]', "None of its results"),
        ('[{"image_id": 1, "category_id": 1, "bbox": [1, 1, 5], "score": 0.5}]', r"results\[0\]: its “bbox”"),
        ('[{"image_id": 1, "category_id": 1, "bbox": [1, 1, 5, 5], "score": 50}]', r"results\[0\]: its “score”"),
        ('[{"image_id": 1, "category_id": 1, "keypoints": [1, 1, 1], "score": 0.5}]', "has 1 keypoints, but the data has 5"),
        ('{"annotations": [], "categories": [{"id": "1"}]}', r"categories\[0\]"),
    ],
)
def test_results_that_cannot_be_read_are_a_sentence(dataset, tmp_path, content, message):
    file = tmp_path / "others.json"
    if content is not None:
        file.write_text(content)
    run = EvaluationRun(dataset, [Candidate(file)], FakeEngine(dataset))
    (step,) = run.run()
    assert isinstance(step.error, ResultsFormatError)
    with pytest.raises(ResultsFormatError, match=message):
        raise step.error
    assert list(run.evaluated().failed) == ["others"]


@pytest.mark.parametrize(
    ("write", "changes"),
    [
        (lambda entries: "\n".join(map(json.dumps, entries)), {}),
        (lambda entries: json.dumps({"predictions": entries}), {}),
        (json.dumps, {"score": "0.8"}),
        (json.dumps, {"image_id": None, "file_name": lambda image: f"photos/{image.file_name}"}),
        (json.dumps, {"category_id": lambda image: "Person"}),
    ],
    ids=["JSON lines", "wrapped", "numbers as texts", "file names", "names of classes"],
)
def test_results_as_tools_write_them(tmp_path, write, changes):
    dataset = read_coco(coco_folder(tmp_path / "data", categories=("person",)))
    file = results_file(dataset, tmp_path / "others.json")
    images = {image.id: image for image in dataset.images}
    entries = [
        {**entry, **{name: value(images[entry["image_id"]]) if callable(value) else value for name, value in changes.items()}}
        for entry in json.loads(file.read_text())
    ]
    file.write_text(write(entries))
    model = evaluate(dataset, [file], engine=FakeEngine(dataset))["others"]
    assert model.figures.summary["AP"] == pytest.approx(1)


def test_what_is_odd_about_results_is_reported(dataset, tmp_path):
    file = results_file(dataset, tmp_path / "others.json")
    entries = json.loads(file.read_text())
    odd = [{**entries[-1], "image_id": 77}, {**entries[-1], "category_id": 66}]
    entries = [*(entry for entry in entries if entry["image_id"] != 1), *odd]
    file.write_text(json.dumps(entries))
    notes = evaluate(dataset, [file], engine=FakeEngine(dataset))["others"].notes
    assert [note.split(" ")[0:4] for note in notes] == [
        ["1", "of", "its", "results"],
        ["It", "has", "no", "results"],
        ["No", "class", "has", "the"],
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (EvaluationOptions(classes=["boat"]), "no class “boat”"),
        (EvaluationOptions(class_changes={"person": "boat"}), "no class “boat”"),
        (EvaluationOptions(iou_type="keypoints"), "no keypoints"),
        (EvaluationOptions(iou=0.01), "must be from"),
    ],
)
def test_settings_that_do_not_fit_are_reported_before_anything_runs(tmp_path, options, message):
    dataset = read_coco(coco_folder(tmp_path, keypoints=False))
    engine = FakeEngine(dataset)
    with pytest.raises(EvaluationError, match=message):
        evaluate(dataset, [COCO_MODEL], options=options, engine=engine)
    assert engine.submitted == []


def test_a_model_without_the_task_is_reported(tmp_path):
    dataset = read_coco(coco_folder(tmp_path))
    boxes_only = replace(COCO_SPEC, tasks=("boxes",))
    engine = FakeEngine(dataset)
    evaluated = evaluate(dataset, [boxes_only], options=EvaluationOptions(iou_type="segm"), engine=engine)
    assert evaluated.failed == {COCO_MODEL: "The model predicts no masks."}
    assert engine.submitted == []
    evaluated = evaluate(dataset, [COCO_SPEC], options=EvaluationOptions(iou_type="keypoints"), engine=engine)
    assert evaluated.failed == {COCO_MODEL: "The model has 17 keypoints, but the data has 5."}


def test_an_image_that_is_gone_is_a_sentence(dataset):
    run = EvaluationRun(dataset, [Candidate(COCO_SPEC)], FakeEngine(dataset))
    dataset.images[0].path.unlink()
    with pytest.raises(DataError, match=r"1\.png can no longer be read"):
        list(run.run())


@pytest.mark.parametrize("name", ["pets.pt", "pets.pt@stock"])
def test_a_checkpoint_is_a_model(dataset, tmp_path, name):
    put_model(tmp_path / "pets.pt", classes=("person", "dog"))
    (model,) = evaluate(dataset, [f"{tmp_path}/{name}"], engine=FakeEngine(dataset)).models
    assert (model.name, model.threshold) == (name.replace(".pt", ""), 0.2)
    assert model.figures.summary["AP"] == pytest.approx(1)


def test_chosen_classes(dataset):
    evaluated = evaluate(dataset, [PERSON], options=EvaluationOptions(classes=["person"]), engine=FakeEngine(dataset))
    assert evaluated[PERSON_MODEL].figures.summary["AP"] == pytest.approx(1)
    assert evaluated[PERSON_MODEL].notes == ()


def test_the_iou_of_a_match_is_chosen(dataset):
    model = evaluate(dataset, [COCO_SPEC], engine=FakeEngine(dataset))[COCO_MODEL]
    assert model.curves(0.5).together(0.5).recall == model.curves(0.33).together(0.5).recall == 1
    assert model.confusion(iou=0.33).counts[0].sum() == 0
    with pytest.raises(EvaluationError, match=r"from 0\.1 to 1"):
        model.curves(0.05)


def test_the_report_is_one_file_and_equals_the_figures(dataset, tmp_path):
    other = results_file(dataset, tmp_path / "<others> & co.json")
    progress = []
    evaluated = evaluate(
        dataset, [COCO_SPEC, other], out=tmp_path / "out", engine=FakeEngine(dataset), on_progress=lambda *done: progress.append(done)
    )
    assert progress[-1] == (10, 10)
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics == json.loads(json.dumps(evaluated.metrics()))
    assert metrics["models"][COCO_MODEL]["AP"] == pytest.approx(1)
    (pair,) = metrics["pairs"]
    assert (pair["AP"], pair["interval"], pair["only_a"], pair["p_value"]) == (pytest.approx(0), pytest.approx([0, 0]), 0, 1)
    rows = list(csv.DictReader((tmp_path / "out" / "per_class.csv").open(encoding="utf-8-sig", newline="")))
    assert [(row["model"], row["class"], row["objects"]) for row in rows[:2]] == [(COCO_MODEL, "person", "5"), (COCO_MODEL, "dog", "5")]
    html = (tmp_path / "out" / "report.html").read_text()
    assert "&lt;others&gt; &amp; co" in html
    assert "<others>" not in html
    assert not any(word in html for word in ("http", "src=", "<script", "@import", "url("))
    for heading in ("Models", "Differences", "Precision, recall and F1", "Confusion", "Kinds of errors", "Calibration", "Classes"):
        assert f"<h2>{heading}</h2>" in html


def test_the_report_of_nothing(tmp_path):
    dataset = read_coco(coco_folder(tmp_path / "data", images=2, empty=2))
    evaluate(dataset, [COCO_SPEC], out=tmp_path / "out", engine=FakeEngine(dataset))
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["models"][COCO_MODEL]["AP"] is None
