"""The Compare tab: one image and two to four models in, their results side by side and object by object out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components.base import Component
from gradio.data_classes import FileData

from detection_core.engine import Cancelled, Engine, EngineError, Result, summarize, take_turns
from detection_core.errors import UserError
from detection_core.file_names import shortened
from detection_core.images.reading import ImageError, LoadedImage
from detection_core.models.catalog import COCO_MODEL, PERSON_MODEL, get_model_spec
from detection_core.models.model_key import ModelKey, state_of, usual_key
from detection_core.ui.compare.candidate import Candidate
from detection_core.ui.compare.download import KeptComparison, comparison_archive
from detection_core.ui.compare.measurements import Measurements
from detection_core.ui.compare.results_controls import ResultsControls
from detection_core.ui.compare.results_files import ResultsFiles
from detection_core.ui.compare.run import ComparisonRun
from detection_core.ui.compare.updates import NOTHING, Update, failure, visible
from detection_core.ui.compare.view import MAX_MODELS, CompareMessage, CompareSettings, CompareView, link_models, settings_from_link
from detection_core.ui.components.example_strip import ExampleStrip
from detection_core.ui.components.messages import ViewStatus
from detection_core.ui.components.model_picker import megabytes
from detection_core.ui.components.model_slots import FEWEST, ModelSlots, slots_value
from detection_core.ui.components.safe_image import SafeImage
from detection_core.ui.shared.events import CONCURRENT, QUIET
from detection_core.ui.shared.examples import EXAMPLE_PATHS, EXAMPLES, clicked_example
from detection_core.ui.shared.image_links import ImageLinks
from detection_core.ui.shared.progress import CANCELLED, explain
from detection_core.ui.shared.served_files import serve_bytes, shown_file
from detection_core.ui.shared.session import ResultExpiredError, Turns, visitor_of
from detection_core.ui.shared.uploads import read_upload
from detection_core.ui.shared.visitor_store import VisitorStore

_DEFAULT_MODELS = [COCO_MODEL, PERSON_MODEL]
_POLL_SECONDS = 0.5
_ROUNDS = 5
# Comparisons, and results from files, of all visitors together.
_KEPT = 128


class CompareTab:
    """The Compare tab: `layout` makes its components, `wire` connects them with the other methods, which handle their events.

    Handlers that compare take what `inputs` gives: the image's path, the models' keys, the names of results from files, and the settings
    of the link through which the visitor came.

    Args:
        engine: Where detection runs.
        links: The images' names in links.

    Attributes:
        comparisons: Where comparisons are kept.
        results_files: Where results from files are kept.
        results_controls: The controls that add and remove them.
        slots: The models, for the page to refresh.
        inputs: Image, models, results from files and settings from a link.
        link_outputs: Outputs of `open_link`.
    """

    def __init__(self, engine: Engine, links: ImageLinks) -> None:
        self._engine = engine
        self._links = links
        self._turns = Turns()
        # Apart from the turns: cancelling a comparison shows the results so far, cancelling a measurement just ends it.
        self._measurement_turns = Turns()
        self._measurements = Measurements()
        self.comparisons: VisitorStore[KeptComparison] = VisitorStore(ResultExpiredError, _KEPT)
        self.results_files = ResultsFiles(_KEPT)
        self.results_controls = ResultsControls(self.results_files, self.compare)

    def layout(self) -> None:
        """Adds the components to the page being built."""
        self._comparison_name = gr.State("")
        self._files = gr.State([])
        self._link = gr.State({})
        with gr.Row(equal_height=False, elem_classes="workbench"):
            with gr.Column(scale=0, min_width=320, elem_classes="inputs"):
                self._image = SafeImage(str(EXAMPLE_PATHS[0]), label="Image", sources=["upload", "clipboard"], height=220, buttons=[])
                self._examples = ExampleStrip(EXAMPLES)
                self.slots = ModelSlots(self._default_models(), self._engine.model_states())
                self._compare_button = gr.Button("Compare", variant="primary")
                self._cancel_button = gr.Button("Cancel", visible=False)
                self.results_controls.layout()
            with gr.Column(scale=1, min_width=320):
                self._view = CompareView(can_keep=self._links.can_keep)
        self.inputs: list[Component] = [self._image, self.slots, self._files, self._link]
        self.link_outputs: list[Component] = [self._image, self.slots, self._link]

    def wire(self, tab: gr.Tab) -> None:
        """Connects the events.

        Args:
            tab: The tab; opening it for the first time compares the models on the example.
        """
        inputs = self.inputs
        outputs: list[Component] = [self._view, self._comparison_name, self.slots, self._compare_button, self._cancel_button]
        tab.select(self.compare_first, [self._comparison_name, *inputs], outputs, **CONCURRENT, **QUIET)
        gr.on([self._image.input, self._image.clear, self.slots.select], self.compare, inputs, outputs, **CONCURRENT, **QUIET)
        chosen = self._examples.select(self.choose_example, None, self._image, queue=False, **QUIET)
        chosen.then(self.compare, inputs, outputs, **CONCURRENT, **QUIET)
        self._compare_button.click(self.press_compare, inputs, outputs, **CONCURRENT, **QUIET)
        self.results_controls.wire(inputs, outputs)
        self._cancel_button.click(self.cancel, None, [self._view, self._cancel_button], queue=False, **QUIET)
        self._view.measure(self.measure, inputs, outputs, **CONCURRENT, **QUIET)
        self._view.keep(self.keep_image, self._image, self._view, concurrency_limit=4, **QUIET)
        self._view.download(self.download, [self._view, self._comparison_name], self._view, concurrency_limit=4, **QUIET)

    def compare(
        self, path: str | None, keys: list[str], files: list[str], link: Mapping[str, Any], request: gr.Request
    ) -> Iterator[Update]:
        """Compares the models that are on this machine; others wait for the button."""
        yield from self._compare(path, keys, files, link, visitor_of(request, "compare"), may_download=False)

    def press_compare(
        self, path: str | None, keys: list[str], files: list[str], link: Mapping[str, Any], request: gr.Request
    ) -> Iterator[Update]:
        """Downloads missing weights and compares, or says that there is no image."""
        if path is None:
            yield failure("No image yet", "Drop, paste or choose an image, or choose one of the examples."), *NOTHING[1:]
            return
        yield from self._compare(path, keys, files, link, visitor_of(request, "compare"), may_download=True)

    def compare_first(
        self, name: str, path: str | None, keys: list[str], files: list[str], link: Mapping[str, Any], request: gr.Request
    ) -> Iterator[Update]:
        """Compares when the tab is opened for the first time, which is when there is no comparison yet."""
        if name:
            yield NOTHING
            return
        yield from self.compare(path, keys, files, link, request)

    def measure(
        self, path: str | None, keys: list[str], files: list[str], link: Mapping[str, Any], request: gr.Request
    ) -> Iterator[Update]:
        """Measures the models that are on this machine, taking turns."""
        visitor = visitor_of(request, "compare")
        turn, measurement = self._turns.begin(visitor), self._measurement_turns.begin(visitor)
        self._engine.cancel_visitor(visitor)
        states = self._engine.model_states()
        here = [key for key in keys if state_of(key, states) in ("in memory", "on disk")]
        results: dict[str, list[Result]] = {key: [] for key in here}
        try:
            if path is None or not here:
                raise EngineError("None of these models is on this machine yet. Press the button beside the image to download them.")
            loaded = read_upload(path)
            specs = [get_model_spec(key) for key in here]
            for spec, job in take_turns(self._engine, loaded, specs, rounds=_ROUNDS, visitor=visitor):
                # Between two runs there may be no job that could be cancelled.
                if not (self._turns.is_current(visitor, turn) and self._measurement_turns.is_current(visitor, measurement)):
                    job.cancel()
                    raise Cancelled
                done = sum(map(len, results.values()))
                text = f"Measuring {spec.title}, round {done // len(here) + 1} of {_ROUNDS}"
                status = ViewStatus(stage="run", text=text, done=done, total=_ROUNDS * len(here))
                yield CompareMessage(status=status), *NOTHING[1:4], visible(True)
                results[spec.key].append(job.result())
        except Cancelled:
            # Without a status: the last one may have come after the message of `cancel`.
            yield (CompareMessage(), *NOTHING[1:4], visible(False)) if self._turns.is_current(visitor, turn) else NOTHING
            return
        except UserError as error:
            failed = failure("The models cannot be measured", str(error)), *NOTHING[1:4], visible(False)
            yield failed if self._turns.is_current(visitor, turn) else NOTHING
            return
        for key, runs in results.items():
            if measured := summarize(runs):
                self._measurements.put(key, loaded.digest, measured)
        if self._turns.is_current(visitor, turn):
            yield from self._compare(path, keys, files, link, visitor, may_download=False)

    def cancel(self, request: gr.Request) -> tuple[CompareMessage, Any]:
        """Cancels the visitor's comparison or measurement."""
        visitor = visitor_of(request, "compare")
        self._measurement_turns.begin(visitor)
        self._engine.cancel_visitor(visitor)
        return CompareMessage(notes=[CANCELLED]), visible(False)

    def choose_example(self, event: gr.EventData) -> str:
        """The clicked example, for the image input."""
        return clicked_example(event._data)

    def download(self, settings: CompareSettings, name: str) -> CompareMessage:
        """Writes everything into one archive, as the visitor sees it."""
        try:
            comparison = self.comparisons.find(name)
            archive = comparison_archive(comparison, settings)
        except UserError as error:
            return failure("The comparison cannot be saved", str(error))
        file_name = f"{shortened(comparison.image_path.stem, 200)}_comparison.zip"
        return CompareMessage(download=FileData(path=serve_bytes(archive, file_name, self._view)), download_name=file_name)

    def keep_image(self, path: str | None) -> CompareMessage:
        """Keeps the image, so that a link can show it again."""
        try:
            if path is None:
                raise ImageError("Choose the image again.")
            return CompareMessage(link_name=self._links.keep(read_upload(path)))
        except (UserError, OSError) as error:
            return failure("The image cannot be kept", error.strerror or "" if isinstance(error, OSError) else str(error))

    def open_link(self, request: gr.Request) -> tuple[Any, ...] | None:
        """Values for `link_outputs` if the page was opened through a link to a comparison; otherwise None."""
        query = dict(request.query_params)
        if query.get("tab") != "compare":
            return None
        name = query.get("image") or query.get("picture", "")
        image = self._links.find(name)
        if name and image is None:
            gr.Warning("The image of this link is no longer on this server. An example is shown instead.")
        keys = link_models(query)
        keys += [key for key in self._default_models() if key not in keys][: max(FEWEST - len(keys), 0)]
        slots = slots_value(keys, self._engine.model_states(), self._engine.run_seconds(first=True), choose=True)
        return str(image or EXAMPLE_PATHS[0]), slots, settings_from_link(query)

    def _default_models(self) -> list[str]:
        states = self._engine.model_states()
        return [usual_key(name, states) for name in _DEFAULT_MODELS]

    def _model_parts(self, keys: Sequence[str]) -> tuple[Any, Any]:
        """The slots, and the button, which says what pressing it entails."""
        states = self._engine.model_states()
        # A model's variants share one file.
        names = {ModelKey.parse(key).name for key in keys if state_of(key, states) == "to download"}
        missing = sum(get_model_spec(name).file_size for name in names)
        label = f"Download {megabytes(missing)} and compare" if missing else "Compare"
        return slots_value(keys, states, self._engine.run_seconds(first=True)), gr.update(value=label)

    def _compare(
        self, path: str | None, keys: list[str], files: list[str], link: Mapping[str, Any], visitor: str, *, may_download: bool
    ) -> Iterator[Update]:
        """Runs all models on one image, reporting progress; the visitor's next request ends it."""
        turn = self._turns.begin(visitor)
        self._engine.cancel_visitor(visitor)
        if path is None:
            yield None, "", *self._model_parts(keys), visible(False)
            return
        try:
            loaded = read_upload(path)
        except ImageError as error:
            yield CompareMessage(error=explain(error, "")), gr.skip(), *self._model_parts(keys), visible(False)
            return
        run, notes = self._begin_run(Path(path), loaded, keys, files, visitor, may_download=may_download)
        image_file = shown_file(path, loaded, self._view)
        name = self.comparisons.put(run.kept())
        changed = True
        while run.is_waiting:
            if not self._turns.is_current(visitor, turn):
                yield NOTHING
                return
            if changed:
                yield run.message(image_file, self._links.name(loaded), notes, link), name, *NOTHING[2:4], visible(True)
            changed = run.wait(_POLL_SECONDS)
            if changed:
                self.comparisons.put(run.kept(), token=name)
        if not self._turns.is_current(visitor, turn):
            yield NOTHING
            return
        yield run.message(image_file, self._links.name(loaded), notes, link), name, *self._model_parts(keys), visible(False)

    def _begin_run(
        self, path: Path, loaded: LoadedImage, keys: Sequence[str], files: Sequence[str], visitor: str, *, may_download: bool
    ) -> tuple[ComparisonRun, list[str]]:
        """A run with the results from files that belong to the image, and remarks on the others."""
        imported, notes = self.results_files.for_image(files, loaded, MAX_MODELS - len(keys))
        candidates = [Candidate(key, self._engine, loaded, visitor=visitor, may_download=may_download) for key in keys]
        return ComparisonRun(path, loaded, candidates, imported, self._measurements), notes
