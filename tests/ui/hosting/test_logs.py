from __future__ import annotations

import contextvars
import json
import logging
import sys
from pathlib import Path

import pytest

from detection_core.ui.hosting.logs import JsonFormatter, LineFormatter, set_up_logs, without_file_names
from detection_core.ui.hosting.request_ids import new_request_id


def record(message: str, **facts: object) -> logging.LogRecord:
    made = logging.LogRecord("detection_core.a", logging.WARNING, "a.py", 1, message, (), None)
    if facts:
        made.facts = facts
    return made


@pytest.fixture
def uploads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    return tmp_path


def test_lines(uploads):
    assert LineFormatter().format(record("action", request_id="0a", model="own")) == "WARNING detection_core.a [0a]: action model=own"
    assert LineFormatter().format(record("late")) == "WARNING detection_core.a: late"


def test_json(uploads):
    entry = json.loads(JsonFormatter().format(record("two\nlines", request_id="0a", seconds=0.5)))
    assert entry.pop("time").endswith("Z")
    expected = {"level": "WARNING", "logger": "detection_core.a", "message": "two\nlines", "request_id": "0a", "seconds": 0.5}
    assert entry == expected


def test_what_is_logged_during_a_request_has_its_id(uploads):
    def log_in_request() -> None:
        request_id = new_request_id()
        assert json.loads(JsonFormatter().format(record("late")))["request_id"] == request_id

    contextvars.copy_context().run(log_in_request)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[Errno 2] No such file: '{}/0a1b/my holiday.jpg'", "[Errno 2] No such file: '<upload>'"),
        ('File "{}/a/b.png", line 1', 'File "<upload>", line 1'),
        ("cannot read {}/0a1b/my holiday.jpg\nnext", "cannot read <upload>\nnext"),
        ("nothing to hide in /etc", "nothing to hide in /etc"),
    ],
)
def test_paths_of_uploads_are_cut(uploads, text, expected):
    assert without_file_names(text.format(uploads)) == expected


@pytest.mark.parametrize("log_format", ["lines", "json"])
def test_exceptions_are_logged_without_names(uploads, monkeypatch, capsys, log_format):
    monkeypatch.setattr(sys, "stderr", sys.stderr)
    name = "my holiday.jpg"
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    levels = {name: logging.getLogger(name).level for name in ("", "detection_core")}
    try:
        set_up_logs(log_format)
        try:
            (uploads / "0a1b" / name).read_bytes()
        except OSError:
            logging.getLogger("detection_core.a").exception("it failed")
            logging.getLogger("uvicorn.error").error("it failed, too")
    finally:
        for logger, level in levels.items():
            logging.getLogger(logger).setLevel(level)
    written = capsys.readouterr().err
    assert "FileNotFoundError" in written
    assert "it failed, too" in written
    assert "holiday" not in written
    if log_format == "json":
        assert [json.loads(line)["message"] for line in written.splitlines()] == ["it failed", "it failed, too"]


def test_another_format_is_refused():
    with pytest.raises(ValueError, match="lines, json"):
        set_up_logs("xml")
