"""Logs as lines for people or as JSON for machines, without names of visitors' files."""

from __future__ import annotations

import io
import json
import logging
import re
import sys
import time
from pathlib import Path
from typing import Any, Literal, TextIO

from gradio.utils import get_upload_folder

from detection_core.ui.hosting.request_ids import current_request_id

LogFormat = Literal["lines", "json"]
_FORMATS = ("lines", "json")
# uvicorn gives its loggers handlers of their own, which write lines.
_UVICORN = ("uvicorn", "uvicorn.error", "uvicorn.access")


def set_up_logs(log_format: LogFormat = "lines") -> None:
    """Sends all records to stderr in one format; call it again once the server runs, because uvicorn sets up its own when it starts.

    Lines have warnings and errors only. JSON has one object a line, also for each request and each image processed.

    Args:
        log_format: "lines" or "json".

    Raises:
        ValueError: If it is neither.
    """
    if log_format not in _FORMATS:
        raise ValueError(f"the log format must be one of {', '.join(_FORMATS)}, not {log_format!r}")
    if not isinstance(sys.stderr, WithoutFileNames):
        sys.stderr = WithoutFileNames(sys.stderr)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else LineFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("detection_core").setLevel(logging.INFO if log_format == "json" else logging.NOTSET)
    for name in _UVICORN:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True


class WithoutFileNames(io.TextIOBase):
    """A stream without the names of visitors' files: Gradio prints the trace of an unexpected error past all logs.

    Args:
        stream: Where the text goes.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Writes a text that has whole paths, as traces have in each line."""
        return self._stream.write(without_file_names(text))

    def flush(self) -> None:
        """Flushes the stream."""
        self._stream.flush()

    def fileno(self) -> int:
        """The stream's own, for processes and for traces of crashes."""
        return self._stream.fileno()

    def isatty(self) -> bool:
        """Whether the stream is a terminal."""
        return self._stream.isatty()


class LineFormatter(logging.Formatter):
    """`WARNING detection_core.engine.local [request id]: message`; the id only where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """Formats a record."""
        facts = _facts_of(record)
        request_id = facts.pop("request_id", "")
        words = [record.getMessage(), *(f"{name}={value}" for name, value in facts.items())]
        text = f"{record.levelname} {record.name}{f' [{request_id}]' if request_id else ''}: {' '.join(words)}"
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return text


class JsonFormatter(logging.Formatter):
    """One JSON object a line: `time` (UTC), `level`, `logger`, `message`, `request_id` where there is one, and a record's own facts."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        """Formats a record."""
        entry = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03d}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_facts_of(record),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(
            {name: without_file_names(value) if isinstance(value, str) else value for name, value in entry.items()}, default=str
        )


def _facts_of(record: logging.LogRecord) -> dict[str, Any]:
    """What was given as `extra={"facts": ...}`, and the id of the request."""
    facts: dict[str, Any] = getattr(record, "facts", {})
    request_id = facts.get("request_id") or current_request_id()
    return ({"request_id": request_id} if request_id else {}) | facts


def without_file_names(text: str) -> str:
    """The text with every path in the upload folder cut down to the folder: visitors' names of their files are their own business."""
    folder = Path(get_upload_folder())
    for each in {str(folder), str(folder.resolve())}:
        # File names may have spaces, so all up to a closing quote or the end of the line belongs to it.
        text = re.sub(re.escape(each) + r"""[/\\][^'"“”\n]*""", lambda _: "<upload>", text)
    return text
