"""Gradio's Blocks, whose endpoints explain what is wrong with a request: programs can call all of them, also those of the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import gradio as gr
from gradio.block_function import BlockFunction
from gradio.data_classes import FileData
from gradio.state_holder import SessionState
from gradio_client.utils import is_http_url_like
from pydantic import ValidationError
from starlette.types import ASGIApp

from detection_core.ui.components.safe_image import URLS_ARE_NOT_FETCHED, name_of, wrong_value
from detection_core.ui.shared.uploads import is_in_upload_folder

_DEFECT = "The server has failed at this request. Its log says why."
_FOREIGN = (
    "The server opens only files that have been uploaded to it. Upload the file to /gradio_api/upload, and send the path in the response."
)
_MALFORMED = 'A file is sent as {"path": …, "meta": {"_type": "gradio.FileData"}}, with the path in the response of /gradio_api/upload.'


class CheckedBlocks(gr.Blocks):
    """`gr.Blocks` that checks the values of a request before Gradio does, which would log a traceback and respond with `null`.

    Attributes:
        http_api: The application that is mounted beside the page.
    """

    http_api: ASGIApp

    async def preprocess_data(
        self, block_fn: BlockFunction, inputs: list[Any], state: SessionState | None, explicit_call: bool = False
    ) -> list[Any]:
        """Gives the values that an endpoint's function is called with.

        Raises:
            gr.Error: If there are too few or too many values, or one cannot be used.
        """
        blocks = block_fn.inputs
        if len(inputs) != len(blocks):
            wanted = ", ".join(map(name_of, blocks))
            raise _refusal(f"“data” must be a list [{wanted}]; the list in this request has length {len(inputs)}.")
        for block, value in zip(blocks, inputs, strict=True):
            if not block.stateful:
                _check(block, value)
        processed: list[Any] = await super().preprocess_data(block_fn, inputs, state, explicit_call)
        return processed

    async def process_api(self, block_fn: BlockFunction | int, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Calls an endpoint's function; a defect goes to the log, and the response says so."""
        if isinstance(block_fn, BlockFunction) and block_fn.fn is None:
            raise _refusal("This endpoint works in the browser only.")
        try:
            output: dict[str, Any] = await super().process_api(block_fn, *args, **kwargs)
        except gr.Error as error:
            # Gradio's own errors, such as of a file of a wrong type, also are the visitor's.
            error.print_exception = False
            raise
        except Exception as error:
            raise gr.Error(_DEFECT) from error
        return output


def _check(block: Any, value: Any) -> None:
    """Raises an error unless the value is one that the component can take."""
    for sent in _files_in(value):
        path = sent["path"]
        if is_http_url_like(path):
            raise _refusal(URLS_ARE_NOT_FETCHED)
        if not isinstance(sent.get("meta", {}), dict) or not _is_valid(FileData, sent):
            raise _refusal(_MALFORMED)
        if not is_in_upload_folder(path):
            raise _refusal(_FOREIGN)
    if value is not None and block.data_model is not None and not _is_valid(block.data_model, value):
        raise wrong_value(block)


def _files_in(value: Any) -> Iterator[Mapping[str, Any]]:
    """Everything in a value that names a file, as Gradio looks for them, and also without the `meta` by which it knows them."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            if isinstance(each.get("path"), str):
                yield each
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each


def _is_valid(model: Any, value: Any) -> bool:
    try:
        model.model_validate(value)
    except ValidationError:
        return False
    return True


def _refusal(message: str) -> gr.Error:
    return gr.Error(message, print_exception=False)
