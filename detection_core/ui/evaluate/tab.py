"""The Evaluate tab: annotated images and up to four models in, how good each is and where it is wrong out."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
from anyio import to_thread
from gradio.components.base import Component
from gradio.data_classes import FileData

from detection_core.datasets.coco import DataError
from detection_core.datasets.sources import read_dataset
from detection_core.engine import Cancelled, Engine
from detection_core.errors import UserError
from detection_core.evaluation import EvaluationError, EvaluationRun
from detection_core.evaluation.ground_truth import IouType
from detection_core.evaluation.report import write_report
from detection_core.models.catalog import ASSETS, COCO_MODEL
from detection_core.models.model_key import usual_key
from detection_core.models.spec import ModelSpec
from detection_core.ui.components.client_values import bounded, mapping_of, text_of
from detection_core.ui.components.messages import ViewError, ViewStatus
from detection_core.ui.components.model_slots import ModelSlots, slots_value
from detection_core.ui.evaluate.images import MOST_CROPS, crop, sent_box, whole_image
from detection_core.ui.evaluate.link import settings_from_link
from detection_core.ui.evaluate.messages import MOST_FAULTS, DataFacts, DataMessage, DataOrder, EvaluateMessage, EvaluateOrder
from detection_core.ui.evaluate.payload import result_payload
from detection_core.ui.evaluate.shapes import image_shapes
from detection_core.ui.evaluate.store import EvaluationStore, VisitorEvaluation
from detection_core.ui.evaluate.uploads import read_uploads, uploaded_files
from detection_core.ui.evaluate.view import FILES, DataView, EvaluateView
from detection_core.ui.evaluate.work import (
    candidates_of,
    check_data,
    data_facts,
    evaluated_of,
    prepare_run,
    run_models,
    tasks_of,
    with_thresholds,
)
from detection_core.ui.shared.events import CONCURRENT, QUIET, server_function
from detection_core.ui.shared.session import Turns, visitor_of

SAMPLE = ASSETS / "sample"
_SAMPLE_NAME = "Built-in sample"
_HELP = "Models run once on your annotated images. Thresholds, classes and errors are then explored without running them again."

# Data's view, results' view, cancel button.
Update = tuple[Any, Any, Any]
# Gradio takes a generator that yields nothing for an error.
_NOTHING: Update = (gr.skip(),) * 3


class EvaluateTab:
    """The Evaluate tab: `layout` makes its components, `wire` connects them with the other methods, which handle their events.

    Args:
        engine: Where detection runs.

    Attributes:
        slots: The models, for the page to refresh.
        link_outputs: Outputs of `open_link`.
        evaluations: Where evaluations are kept, once the page is wired.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._turns = Turns()

    def layout(self) -> None:
        """Adds the components to the page being built."""
        states = self._engine.model_states()
        with gr.Row(equal_height=False, elem_classes="workbench"):
            with gr.Column(scale=0, min_width=320, elem_classes="inputs"):
                self._data = DataView()
                self.slots = ModelSlots([usual_key(COCO_MODEL, states)], states, fewest=0)
                self._button = gr.Button("Evaluate", variant="primary")
                self._cancel_button = gr.Button("Cancel", visible=False)
                gr.Markdown(_HELP, elem_classes="fine-print")
            with gr.Column(scale=1, min_width=320):
                functions = map(server_function, (self.crops, self.whole_image))
                self._view = EvaluateView(*functions)
        self.link_outputs: list[Component] = [self.slots, self._view]

    def wire(self, page: gr.Blocks) -> None:
        """Connects the events.

        Args:
            page: The page; the data of visitors who leave it is removed.
        """
        self.evaluations = EvaluationStore(Path(self._view.GRADIO_CACHE))
        inputs: list[Component] = [self.slots, self._data, self._view]
        outputs: list[Component] = [self._data, self._view, self._cancel_button]
        self._data.read(self.load, None, outputs, concurrency_limit=4, **QUIET)
        self._data.skip(self.skip, self._data, self._data, concurrency_limit=4, **QUIET)
        for event in (self._button.click, self._view.again):
            event(self.evaluate, inputs, outputs, **CONCURRENT, **QUIET)
        self._view.look(self.look, None, self._view, concurrency_limit=4, **QUIET)
        self._view.download(self.download, None, self._view, concurrency_limit=4, **QUIET)
        self._cancel_button.click(self.cancel, None, outputs, queue=False, **QUIET)
        page.unload(self.leave)

    def load(self, event: gr.EventData, request: gr.Request) -> Update:
        """Reads and checks the visitor's data, or the sample, which ends an evaluation of other data."""
        sent = mapping_of(event._data)
        visitor = visitor_of(request, "evaluate")
        self._stop(visitor)
        try:
            entry, facts = self._read(visitor, sent.get("files"), text_of(sent.get("part")))
        except (UserError, OSError) as error:
            return DataMessage(error=_error("This data cannot be used", error)), EvaluateMessage(), _visible(False)
        return DataMessage(facts=facts, notes=entry.notes[:MOST_FAULTS]), EvaluateMessage(), _visible(False)

    def skip(self, order: DataOrder) -> DataMessage:
        """Leaves out what is faulty in the visitor's data."""
        try:
            entry = self.evaluations.find(order.evaluation)
            facts = check_data(entry, skip=True)
        except UserError as error:
            return DataMessage(error=_error("This data cannot be used", error))
        return DataMessage(facts=facts, notes=entry.notes[:MOST_FAULTS])

    def evaluate(self, keys: list[str], data: DataOrder, order: EvaluateOrder, request: gr.Request) -> Iterator[Update]:
        """Runs the models on the data, reporting progress; results of an earlier run are reused. The visitor's next request ends it."""
        visitor = visitor_of(request, "evaluate")
        turn = self._stop(visitor)
        running: VisitorEvaluation | None = None
        try:
            if data.evaluation:
                entry = self.evaluations.find(data.evaluation)
                facts = data_facts(entry)
            else:
                entry, facts = self._read(visitor, [])
            if entry.dataset is None:
                raise DataError("The data has faults. Correct them, or go on without them.")
            candidates, titles = candidates_of(keys, data, order)
            run = EvaluationRun(entry.dataset, candidates, self._engine, entry.folder, tasks=tasks_of(entry.dataset), visitor=visitor)
            iou_type = prepare_run(run, entry, order)
            entry.running += 1
            running = entry
            first = titles[candidates[0].name]
            starting = ViewStatus(stage="load", text=f"{first} is starting. Weights that are not here yet are downloaded first.")
            yield DataMessage(facts=facts, notes=entry.notes[:MOST_FAULTS]), EvaluateMessage(status=starting), _visible(True)
            for status in run_models(run, titles):
                if not self._turns.is_current(visitor, turn):
                    # A newer run shows its own status, and needs the button.
                    yield gr.skip(), EvaluateMessage(), gr.skip()
                    return
                yield gr.skip(), EvaluateMessage(status=status), gr.skip()
            yield gr.skip(), EvaluateMessage(status=ViewStatus(stage="run", text="Computing the figures")), gr.skip()
            entry.run, entry.titles, entry.results = run, titles, {}
            entry.models = frozenset(candidate.name for candidate in candidates if isinstance(candidate.source, ModelSpec))
            message = self._results(entry, iou_type, order.iou)
        except Cancelled:
            yield (gr.skip(), EvaluateMessage(), _visible(False)) if self._turns.is_current(visitor, turn) else _NOTHING
            return
        except (UserError, OSError) as error:
            failure = gr.skip(), EvaluateMessage(error=_error("The evaluation has failed", error)), _visible(False)
            yield failure if self._turns.is_current(visitor, turn) else _NOTHING
            return
        finally:
            if running is not None:
                running.running -= 1
        yield gr.skip(), message, _visible(False)

    def look(self, event: gr.EventData) -> EvaluateMessage:
        """Shows the results of the latest run for other objects or another IoU; no model runs."""
        order = EvaluateOrder.from_client(event._data)
        try:
            entry = self.evaluations.find(order.evaluation)
            return self._results(entry, order.iou_type, order.iou)
        except UserError as error:
            return EvaluateMessage(error=_error("This cannot be shown", error))

    def download(self, event: gr.EventData) -> EvaluateMessage:
        """Writes the report, with the visitor's thresholds, and gives one of its files."""
        order = EvaluateOrder.from_client(event._data)
        try:
            if order.format not in FILES:
                raise EvaluationError("There is no such file. Choose one from the menu.")
            evaluated = evaluated_of(self.evaluations.find(order.evaluation), order.iou_type)
            folder = Path(self._view.GRADIO_CACHE) / secrets.token_hex(16)
            write_report(with_thresholds(evaluated, order.thresholds), folder, iou=order.iou)
        except (UserError, OSError) as error:
            return EvaluateMessage(error=_error("The file cannot be written", error))
        name = FILES[order.format][0]
        self._view.temp_files.add(str(folder / name))
        return EvaluateMessage(download=FileData(path=str(folder / name)), download_name=name)

    async def crops(self, sent: Any) -> dict[str, Any]:
        """Server function: objects as small images, in the order of `items`, each an image's place and a box."""
        request = mapping_of(sent)
        order = EvaluateOrder.from_client(request)
        entry, items = self.evaluations.get(order.evaluation), request.get("items")
        if entry is None:
            return {"error": "This data is no longer kept on the server. Evaluate again."}
        crops = []
        for item in items[:MOST_CROPS] if isinstance(items, list) else []:
            place, box = (item[0], sent_box(item[1:])) if isinstance(item, list) and item else (None, None)
            image = entry.image(order.iou_type, place)
            crops.append({"error": "No image"} if image is None or box is None else await to_thread.run_sync(crop, image, box))
        return {"crops": crops}

    async def whole_image(self, sent: Any) -> dict[str, Any]:
        """Server function: a whole image of the data, and the shapes of its objects and of what a `model` detects."""
        request = mapping_of(sent)
        order = EvaluateOrder.from_client(request)
        entry = self.evaluations.get(order.evaluation)
        place = request.get("image")
        image = None if entry is None else entry.image(order.iou_type, place)
        evaluated = None if entry is None else entry.results.get(order.iou_type)
        if evaluated is None or image is None or not isinstance(place, int):
            return {"error": "This image is no longer kept on the server. Evaluate again."}
        try:
            pixels = await to_thread.run_sync(whole_image, image)
        except DataError as error:
            return {"error": str(error)}
        name, lowest = text_of(request.get("model")), bounded(request.get("lowest"), 0, 1, 0)
        shapes = await to_thread.run_sync(image_shapes, evaluated, name, place, lowest)
        return pixels | shapes

    def cancel(self, request: gr.Request) -> Update:
        """Cancels the visitor's evaluation; what is done is kept for the next one."""
        visitor = visitor_of(request, "evaluate")
        self._stop(visitor)
        note = "Cancelled. What is done is kept: press Evaluate to continue."
        return gr.skip(), EvaluateMessage(notes=[note]), _visible(False)

    def open_link(self, request: gr.Request) -> tuple[Any, ...] | None:
        """Values for `link_outputs` if the page was opened through a link to an evaluation; otherwise None."""
        query = dict(request.query_params)
        if query.get("tab") != "evaluate" or "settings" not in query:
            return None
        keys, settings = settings_from_link(query)
        note = "The link has set models, thresholds, IoU and class. Press Evaluate for the built-in sample, or choose your own data first."
        states = self._engine.model_states()
        slots = slots_value([key for key in keys if key in states], states, choose=True, fewest=0)
        return slots, EvaluateMessage(link=settings, notes=[note])

    def leave(self, request: gr.Request) -> None:
        """Removes what a visitor who has gone leaves behind."""
        visitor = visitor_of(request, "evaluate")
        self._stop(visitor)
        self.evaluations.leave(visitor)

    def _stop(self, visitor: str) -> int:
        turn = self._turns.begin(visitor)
        self._engine.cancel_visitor(visitor)
        return turn

    def _read(self, visitor: str, files: object, part: str = "") -> tuple[VisitorEvaluation, DataFacts]:
        """Reads the uploads, or the sample if there are none, and checks them; faults are part of the facts."""
        uploads = uploaded_files(files) if files else []
        name = uploads[0].name if uploads else _SAMPLE_NAME
        entry = self.evaluations.begin(visitor, name.split("/", 1)[0], is_sample=not uploads)
        try:
            if uploads:
                data = read_uploads(uploads, entry.folder, entry.stack, part)
                entry.unchecked, entry.parts, entry.part = data.dataset, data.parts, data.part
            else:
                entry.unchecked = read_dataset(SAMPLE)
            return entry, check_data(entry, skip=False)
        except BaseException:
            self.evaluations.remove(entry.token)
            raise

    def _results(self, entry: VisitorEvaluation, iou_type: IouType, iou: float) -> EvaluateMessage:
        evaluated = evaluated_of(entry, iou_type)
        result = result_payload(entry, evaluated, iou, sorted(tasks_of(evaluated.dataset)))
        return EvaluateMessage(result=result, turn=secrets.token_hex(8))


def _error(title: str, error: Exception) -> ViewError:
    text = f"The server reports: {error.strerror}." if isinstance(error, OSError) else str(error)
    return ViewError(title=title, text=text)


def _visible(visible: bool) -> Any:
    return gr.update(visible=visible)
