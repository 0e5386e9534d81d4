"""The Compare tab: one image and two to four models in, their results side by side and object by object out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components.base import Component
from gradio.data_classes import FileData

from detection_core.engine import Cancelled, Engine, EngineError, Result, summarize, take_turns
from detection_core.file_names import shortened
from detection_core.formats import ResultsFormatError, SeveralImagesError, read_coco_results
from detection_core.images.reading import ImageError, LoadedImage
from detection_core.models.catalog import COCO_MODEL, PERSON_MODEL, UnknownModelError, get_model_spec
from detection_core.models.precision import split_key, usual_key
from detection_core.models.weights import WeightsError
from detection_core.ui.compare.candidate import Candidate, CandidateResult, imported, imported_message
from detection_core.ui.compare.download import KeptComparison, comparison_archive
from detection_core.ui.compare.measurements import Measurements
from detection_core.ui.compare.view import (
    MAX_MODELS,
    CompareMessage,
    CompareSettings,
    CompareView,
    compare_payload,
    link_models,
    settings_from_link,
)
from detection_core.ui.components.example_strip import ExampleStrip
from detection_core.ui.components.messages import ViewError, ViewStatus
from detection_core.ui.components.model_picker import megabytes
from detection_core.ui.components.model_slots import FEWEST, ModelSlots, slots_value
from detection_core.ui.components.safe_image import NoAddresses, SafeImage, SafeText
from detection_core.ui.shared.examples import EXAMPLE_PATHS, EXAMPLES, clicked_example
from detection_core.ui.shared.image_links import ImageLinks
from detection_core.ui.shared.progress import explain
from detection_core.ui.shared.served_files import serve_bytes, shown_file
from detection_core.ui.shared.session import ResultExpiredError, ResultStore, Turns, visitor_of
from detection_core.ui.shared.uploads import read_upload

_DEFAULT_MODELS = [COCO_MODEL, PERSON_MODEL]
_POLL_SECONDS = 0.5
_ROUNDS = 5
_MAX_RESULTS_FILE = 20 * 2**20
# As many as any model here gives; ten thousand would take the server's memory to compare.
_MAX_IMPORTED = 300
# Comparisons and files, of everybody together.
_KEPT = 128
_IMPORT_HELP = "Results of another tool for this image, as COCO results JSON (Detectron2, Ultralytics …), become one more model."

Update = tuple[Any, Any, Any, Any, Any]
# Gradio takes a generator that yields nothing for a fault.
_NOTHING: Update = (gr.skip(),) * 5


class _ResultsButton(gr.UploadButton, NoAddresses):
    """An upload button that fetches no address."""

    is_template = True


@dataclass(frozen=True)
class CompareTab:
    """What the page needs of the tab to open it from a link.

    Attributes:
        slots: The models, to be refreshed.
        arrive: Handler of the page's opening, which may be through a link: takes the request, gives what `arrival` lists.
        arrival: Its outputs, after the page's own tabs. Opening the tab, which it does, begins the comparison.
    """

    slots: ModelSlots
    arrive: Callable[[gr.Request], tuple[Any, ...]]
    arrival: list[Component]


def build_compare_tab(tab: gr.Tab, engine: Engine, links: ImageLinks) -> CompareTab:
    """Adds the tab's content to the page being built.

    Args:
        tab: The tab; opening it for the first time compares the example.
        engine: Where detection runs.
        links: What links call images.
    """

    def usual_models() -> list[str]:
        """The two that are compared where nobody has chosen."""
        states = engine.model_states()
        return [usual_key(name, states) for name in _DEFAULT_MODELS]

    turns = Turns()
    # A cancelled comparison still tells what has come in; a cancelled measurement just ends.
    measuring = Turns()
    measurements = Measurements()
    kept: ResultStore[KeptComparison] = ResultStore(_KEPT)
    # With the digest of the image that they are about.
    from_files: ResultStore[tuple[str, CandidateResult]] = ResultStore(_KEPT)
    shown = gr.State("")
    files = gr.State([])
    arrived = gr.State({})
    with gr.Row(equal_height=False, elem_classes="workbench"):
        with gr.Column(scale=0, min_width=320, elem_classes="inputs"):
            image = SafeImage(str(EXAMPLE_PATHS[0]), label="Image", sources=["upload", "clipboard"], height=220, buttons=[])
            examples = ExampleStrip(EXAMPLES)
            slots = ModelSlots(usual_models(), engine.model_states())
            compare = gr.Button("Compare", variant="primary")
            cancel = gr.Button("Cancel", visible=False)
            add = _ResultsButton("Add results from a file", file_types=[".json"], type="filepath", size="sm")
            gr.Markdown(_IMPORT_HELP, elem_classes="fine-print")
            which = SafeText(label="Image id of this image in the file", visible=False, max_length=200)
            remove = gr.Button("Remove the files' results", size="sm", visible=False)
        with gr.Column(scale=1, min_width=320):
            view = CompareView(can_keep=links.can_keep)

    def controls(keys: Sequence[str]) -> tuple[Any, Any]:
        """The slots, and the button that says what pressing it entails."""
        states = engine.model_states()
        # A model's precisions have one file.
        missing = sum(get_model_spec(name).file_size for name in {split_key(key)[0] for key in keys if states.get(key) == "to download"})
        return slots_value(keys, states), gr.update(value=f"Download {megabytes(missing)} and compare" if missing else "Compare")

    def look(path: str | None, keys: list[str], names: list[str], link: Mapping[str, Any], request: gr.Request) -> Iterator[Update]:
        """Compares the models that are here; others wait for the button."""
        yield from follow(path, keys, names, link, visitor_of(request, "compare"), may_download=False)

    def press(path: str | None, keys: list[str], names: list[str], link: Mapping[str, Any], request: gr.Request) -> Iterator[Update]:
        """What the button does: it also fetches weights, and answers when there is no image."""
        if path is None:
            yield _failure("No image yet", "Drop, paste or choose an image, or one of the examples."), *_NOTHING[1:]
            return
        yield from follow(path, keys, names, link, visitor_of(request, "compare"), may_download=True)

    def follow(
        path: str | None, keys: list[str], names: list[str], link: Mapping[str, Any], visitor: str, *, may_download: bool
    ) -> Iterator[Update]:
        """Follows one image through all models; whatever the visitor does next ends it."""
        turn = turns.begin(visitor)
        engine.cancel_visitor(visitor)
        if path is None:
            yield None, "", *controls(keys), _show(False)
            return
        try:
            loaded = read_upload(path)
        except ImageError as error:
            yield CompareMessage(error=explain(error, "")), gr.skip(), *controls(keys), _show(False)
            return
        image, original = shown_file(path, loaded, view), Path(path)
        findings, notes = imports(names, loaded, MAX_MODELS - len(keys))
        contenders = [Candidate(key, engine, loaded, visitor=visitor, may_download=may_download) for key in keys]

        def message() -> CompareMessage:
            models = [contender.message(measurements) for contender in contenders]
            return compare_payload(
                image,
                (loaded.image.height, loaded.image.width),
                [*models, *(imported_message(name, finding) for name, finding in findings.items())],
                link_name=links.name(loaded),
                points=measurements.points(keys),
                notes=[*loaded.notes, *notes],
                restore=link or None,
            )

        def keep_found(name: str = "") -> str:
            """Keeps what has come in so far, so that it can be taken home as it is seen."""
            found = {contender.key: contender.finding for contender in contenders if contender.finding}
            return kept.put(KeptComparison(original, {**found, **findings}), name)

        name = keep_found()
        changed = True
        while waiting := [contender.job.future for contender in contenders if contender.job]:
            if not turns.is_current(visitor, turn):
                yield _NOTHING
                return
            if changed:
                yield message(), name, *_NOTHING[2:4], _show(True)
            seen = [contender.job.state for contender in contenders if contender.job]
            wait(waiting, _POLL_SECONDS, FIRST_COMPLETED)
            came_in = [contender.look(measurements) for contender in contenders]
            if any(came_in):
                keep_found(name)
            changed = any(came_in) or seen != [contender.job.state for contender in contenders if contender.job]
        if not turns.is_current(visitor, turn):
            yield _NOTHING
            return
        yield message(), name, *controls(keys), _show(False)

    def imports(names: Sequence[str], loaded: LoadedImage, room: int) -> tuple[dict[str, CandidateResult], list[str]]:
        """The findings from files that go with this image, by an id, and what is to be said of the others."""
        findings: dict[str, CandidateResult] = {}
        notes: list[str] = []
        for number, name in enumerate(names, start=1):
            try:
                digest, finding = from_files.get(name)
            except ResultExpiredError:
                notes.append("Results from a file are no longer kept on the server. Add the file again.")
                continue
            if digest != loaded.digest:
                notes.append(f"“{finding.title}” is about another image and is left out.")
            elif len(findings) >= room:
                notes.append(f"“{finding.title}” is left out: {MAX_MODELS} models at most. Remove one.")
            else:
                findings[f"file:{number}"] = finding
        return findings, notes

    def add_results(
        file: str | None,
        image_id: str | None,
        path: str | None,
        keys: list[str],
        names: list[str],
        link: Mapping[str, Any],
        request: gr.Request,
    ) -> Iterator[tuple[Any, ...]]:
        """Reads a results file for the image, and compares with it; asks for the image's id where the file is about several."""
        title = Path(file or "").name
        try:
            if file is None:
                raise ResultsFormatError("It has not arrived. Choose it again.")
            if path is None:
                raise ImageError("Choose the image first that the results are about.")
            loaded = read_upload(path)
            if Path(file).stat().st_size > _MAX_RESULTS_FILE:
                raise ResultsFormatError(f"The file is larger than {_MAX_RESULTS_FILE >> 20} MB. Leave out what is about other images.")
            size = loaded.image.height, loaded.image.width
            found = read_coco_results(Path(file).read_bytes(), size, image_id=_image_id(image_id))
        except SeveralImagesError as error:
            yield _failure(f"Which image is it in “{title}”?", str(error)), *_NOTHING[1:], gr.skip(), gr.skip(), _show(True)
            return
        except (ImageError, ResultsFormatError, OSError) as error:
            yield _failure(f"“{title}” cannot be used", str(error)), *_NOTHING[1:], gr.skip(), gr.skip(), gr.skip()
            return
        if len(found) > _MAX_IMPORTED:
            title = f"{title} (the {_MAX_IMPORTED} surest of {len(found):,})"
        names = [*names, from_files.put((loaded.digest, imported(title, found[:_MAX_IMPORTED])))]
        for update in look(path, keys, names, link, request):
            yield *update, names, _show(True), gr.update(visible=False, value="")

    def remove_results(path: str | None, keys: list[str], link: Mapping[str, Any], request: gr.Request) -> Iterator[tuple[Any, ...]]:
        """Compares without the files' results."""
        for update in look(path, keys, [], link, request):
            yield *update, [], _show(False), gr.update(visible=False, value="")

    def measure(path: str | None, keys: list[str], names: list[str], link: Mapping[str, Any], request: gr.Request) -> Iterator[Update]:
        """Times the models that are here, in turns."""
        visitor = visitor_of(request, "compare")
        turn, measurement = turns.begin(visitor), measuring.begin(visitor)
        engine.cancel_visitor(visitor)
        states = engine.model_states()
        here = [key for key in keys if states.get(key, "to download") != "to download"]
        try:
            if path is None or not here:
                raise EngineError("There is no model on this machine to be measured. Press the button beside the image first.")
            loaded = read_upload(path)
            results: dict[str, list[Result]] = {key: [] for key in here}
            numbers = count()
            for key, job in take_turns(engine, loaded, here, rounds=_ROUNDS, visitor=visitor):
                # Between two runs there may be no job that could be cancelled.
                if not (turns.is_current(visitor, turn) and measuring.is_current(visitor, measurement)):
                    job.cancel()
                    raise Cancelled
                text = f"Measuring {get_model_spec(key).title}, round {next(numbers) // len(here) + 1} of {_ROUNDS}"
                done = sum(map(len, results.values()))
                status = ViewStatus(stage="run", text=text, done=done, total=_ROUNDS * len(here))
                yield CompareMessage(status=status), *_NOTHING[1:4], _show(True)
                results[key].append(job.result())
        except Cancelled:
            # Without a status: the last one may have come after the visitor's word.
            yield (CompareMessage(), *_NOTHING[1:4], _show(False)) if turns.is_current(visitor, turn) else _NOTHING
            return
        except (UnknownModelError, ImageError, WeightsError, EngineError) as error:
            failure = _failure("The models cannot be measured", str(error)), *_NOTHING[1:4], _show(False)
            yield failure if turns.is_current(visitor, turn) else _NOTHING
            return
        for key, runs in results.items():
            if measured := summarize(runs):
                measurements.put(key, loaded.digest, measured)
        if turns.is_current(visitor, turn):
            yield from follow(path, keys, names, link, visitor, may_download=False)

    def stop(request: gr.Request) -> tuple[CompareMessage, Any]:
        """Gives up what the visitor waits for."""
        visitor = visitor_of(request, "compare")
        measuring.begin(visitor)
        engine.cancel_visitor(visitor)
        return CompareMessage(notes=["Cancelled. What has arrived of a download is kept."]), _show(False)

    def show_example(event: gr.EventData) -> str:
        """Puts the clicked example where visitors' own images go."""
        return clicked_example(event._data)

    def download(settings: CompareSettings, name: str) -> CompareMessage:
        """Everything in one archive, as the visitor sees it."""
        try:
            comparison = kept.get(name)
            archive = comparison_archive(comparison, settings)
        except (ResultExpiredError, ImageError, ValueError) as error:
            return _failure("The comparison cannot be saved", str(error))
        file_name = f"{shortened(comparison.image_path.stem, 200)}_comparison.zip"
        return CompareMessage(download=FileData(path=serve_bytes(archive, file_name, view)), download_name=file_name)

    def keep(path: str | None) -> CompareMessage:
        """Keeps the image, so that a link can bring it back."""
        try:
            if path is None:
                raise ImageError("Choose the image again.")
            return CompareMessage(link_name=links.keep(read_upload(path)))
        except (ImageError, OSError) as error:
            return _failure("The image cannot be kept", error.strerror or "" if isinstance(error, OSError) else str(error))

    def open_first(
        name: str, path: str | None, keys: list[str], names: list[str], link: Mapping[str, Any], request: gr.Request
    ) -> Iterator[Update]:
        """Compares at once when the tab is opened for the first time."""
        if name:
            yield _NOTHING
            return
        yield from look(path, keys, names, link, request)

    def arrive(request: gr.Request) -> tuple[Any, ...]:
        """Puts what a link tells into the page."""
        query = dict(request.query_params)
        if query.get("tab") != "compare":
            return (gr.skip(),) * 4
        image = links.find(query.get("image") or query.get("picture", ""))
        if image is None:
            gr.Warning("The image of this link is not kept here (any more). This is an example instead.")
        keys = link_models(query)
        keys += [key for key in usual_models() if key not in keys][: max(FEWEST - len(keys), 0)]
        return (
            gr.Tabs(selected=tab.id),
            str(image or EXAMPLE_PATHS[0]),
            slots_value(keys, engine.model_states(), choose=True),
            settings_from_link(query),
        )

    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    many: dict[str, Any] = {"concurrency_limit": None, "trigger_mode": "multiple"}
    inputs = [image, slots, files, arrived]
    outputs = [view, shown, slots, compare, cancel]
    tab.select(open_first, [shown, *inputs], outputs, **many, **quiet)
    gr.on([image.input, image.clear, slots.select], look, inputs, outputs, **many, **quiet)
    examples.select(show_example, None, image, queue=False, **quiet).then(look, inputs, outputs, **many, **quiet)
    compare.click(press, inputs, outputs, **many, **quiet)
    imported_outputs = [*outputs, files, remove, which]
    gr.on([add.upload, which.submit], add_results, [add, which, *inputs], imported_outputs, **many, **quiet)
    remove.click(remove_results, [image, slots, arrived], imported_outputs, **many, **quiet)
    cancel.click(stop, None, [view, cancel], queue=False, **quiet)
    view.measure(measure, inputs, outputs, **many, **quiet)
    view.keep(keep, image, view, concurrency_limit=4, **quiet)
    view.download(download, [view, shown], view, concurrency_limit=4, **quiet)
    return CompareTab(slots, arrive, [image, slots, arrived])


def _image_id(text: str | None) -> int | str | None:
    """As files have it: a number, or a text."""
    text = (text or "").strip()
    return int(text) if text.isdecimal() and len(text) < 20 else text or None


def _failure(title: str, text: str) -> CompareMessage:
    return CompareMessage(error=ViewError(title=title, text=text))


def _show(visible: bool) -> Any:
    return gr.update(visible=visible)
