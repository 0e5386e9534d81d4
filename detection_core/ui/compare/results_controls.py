"""The controls of the Compare tab that add results of other tools, as files, and remove them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components.base import Component

from detection_core.errors import UserError
from detection_core.formats import InvalidEntryError, ResultsFormatError, SeveralImagesError
from detection_core.images.reading import ImageError
from detection_core.models.catalog import get_model_spec
from detection_core.ui.compare.results_files import ResultsFiles
from detection_core.ui.compare.updates import NOTHING, Update, failure, visible
from detection_core.ui.components.safe_image import NoAddresses, SafeText
from detection_core.ui.shared.events import CONCURRENT, QUIET
from detection_core.ui.shared.uploads import read_upload

_FILE_TYPES = [".json", ".jsonl", ".gz"]
_HELP = "Results of another tool for this image, as COCO results JSON (Detectron2, Ultralytics …), become one more model."

# Image's path, models' keys, names of results from files, settings from a link, request.
Compare = Callable[[str | None, list[str], list[str], Mapping[str, Any], gr.Request], Iterator[Update]]
# What comparing returns; names of results from files, button that removes them, field for the image's id, button that skips.
FilesUpdate = tuple[Any, ...]


class _ResultsButton(gr.UploadButton, NoAddresses):
    """An upload button that fetches no address."""

    is_template = True


class ResultsControls:
    """`layout` makes the components, `wire` connects them with the other methods, which handle their events.

    Args:
        files: Where the results are kept.
        compare: Handler that compares.
    """

    def __init__(self, files: ResultsFiles, compare: Compare) -> None:
        self._files = files
        self._compare = compare

    def layout(self) -> None:
        """Adds the components to the page being built."""
        self._add_button = _ResultsButton("Add results from a file", file_types=_FILE_TYPES, type="filepath", size="sm")
        gr.Markdown(_HELP, elem_classes="fine-print")
        self._image_id = SafeText(label="This image's id in the file", visible=False, max_length=200)
        self._skip_button = gr.Button("Add it without invalid entries", size="sm", visible=False)
        self._remove_button = gr.Button("Remove results from files", size="sm", visible=False)

    def wire(self, inputs: list[Component], outputs: list[Component]) -> None:
        """Connects the events.

        Args:
            inputs: Inputs of the handler that compares: image, models, names of results from files, settings from a link.
            outputs: Its outputs.
        """
        image, slots, names, link = inputs
        file_inputs = [self._add_button, self._image_id, *inputs]
        outputs = [*outputs, names, self._remove_button, self._image_id, self._skip_button]
        gr.on([self._add_button.upload, self._image_id.submit], self.add(skip_invalid=False), file_inputs, outputs, **CONCURRENT, **QUIET)
        self._skip_button.click(self.add(skip_invalid=True), file_inputs, outputs, **CONCURRENT, **QUIET)
        self._remove_button.click(self.remove, [image, slots, link], outputs, **CONCURRENT, **QUIET)

    def add(self, *, skip_invalid: bool) -> Callable[..., Iterator[FilesUpdate]]:
        """Returns the handler that reads a results file and compares with it.

        It asks for the image's id if the file holds results for several images, and offers to read a file without its invalid entries.

        Args:
            skip_invalid: Whether invalid entries are left out.
        """

        # Not a partial, in which Gradio does not find the request.
        def add(
            file: str | None,
            image_id: str | None,
            path: str | None,
            keys: list[str],
            names: list[str],
            link: Mapping[str, Any],
            request: gr.Request,
        ) -> Iterator[FilesUpdate]:
            title = Path(file or "").name
            try:
                if file is None:
                    raise ResultsFormatError("The upload has failed. Choose the file again.")
                if path is None:
                    raise ImageError("First choose the image that the results are for.")
                name = self._files.add(
                    Path(file),
                    read_upload(path),
                    image_id or "",
                    file_name=Path(path).name,
                    skip_invalid=skip_invalid,
                    compared=_classes_of(keys),
                )
            except SeveralImagesError as error:
                message = failure(f"Which of the images in “{title}” is this?", str(error))
                yield message, *NOTHING[1:], gr.skip(), gr.skip(), visible(True), visible(False)
                return
            except (UserError, OSError) as error:
                message = failure(f"“{title}” cannot be used", str(error))
                yield message, *NOTHING[1:], gr.skip(), gr.skip(), gr.skip(), visible(isinstance(error, InvalidEntryError))
                return
            yield from self._compare_with([*names, name], path, keys, link, request)

        return add

    def remove(self, path: str | None, keys: list[str], link: Mapping[str, Any], request: gr.Request) -> Iterator[FilesUpdate]:
        """Compares without results from files."""
        yield from self._compare_with([], path, keys, link, request)

    def _compare_with(
        self, names: list[str], path: str | None, keys: list[str], link: Mapping[str, Any], request: gr.Request
    ) -> Iterator[FilesUpdate]:
        for update in self._compare(path, keys, names, link, request):
            yield *update, names, visible(bool(names)), gr.update(visible=False, value=""), visible(False)


def _classes_of(keys: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The classes by label of those models that exist, by their titles."""
    classes = {}
    for key in keys:
        with suppress(UserError):  # The view reports a model that is gone.
            spec = get_model_spec(key)
            classes[spec.title] = spec.categories
    return classes
