from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest

from detection_core.cli import serve as cli_serve
from detection_core.cli.main import main

ROOT = Path(__file__).parents[2]
# Whoever asks for help shall not wait for what only work needs.
HEAVY = ["torch", "torchvision", "gradio", "numpy", "PIL"]
RUN = """
import runpy, sys
sys.argv = sys.argv[1:]
runs = runpy.run_path if sys.argv[0].endswith(".py") else runpy.run_module
try:
    runs(sys.argv[0], run_name="__main__")
except SystemExit as end:
    print("status", end.code)
print("heavy", *({heavy} & {{name.partition(".")[0] for name in sys.modules}}))
"""


@contextmanager
def started(*flags: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The app as a process of its own, and the address that it tells at once."""
    command = [sys.executable, "app.py", "--port", "0", *flags]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    try:
        found = re.search(r"http://[\d.]+:[1-9]\d*", process.stdout.readline())
        assert found
        yield process, found[0]
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["detection_core"], "COMMAND"),
        (["detection_core", "models"], "--format"),
        (["detection_core", "detect"], "--format"),
        (["detection_core", "compare"], "--models MODEL"),
        (["detection_core", "train"], "--epochs"),
        (["detection_core", "serve"], "--keep-images"),
        (["app.py"], "--keep-images"),
    ],
    ids=" ".join,
)
def test_help_imports_nothing_heavy(command: list[str], told: str):
    code = RUN.format(heavy=set(HEAVY))
    done = subprocess.run([sys.executable, "-c", code, *command, "--help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("status 0\nheavy\n")
    assert told in done.stdout


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_that_lacks_letters_gets_them_as_escapes(encoding: str):
    # PYTHONIOENCODING is what a terminal of that kind would choose.
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    command = [sys.executable, "-m", "detection_core", "detect", "--help"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    # Its help says "0–1".
    assert rb"0\u20131" in done.stdout


def test_the_package_imports_nothing_heavy():
    code = f"import sys, detection_core; print({set(HEAVY)} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_serves_the_page_and_ends_on_ctrl_c():
    with started() as (process, address):
        assert process.stdout is not None
        assert process.stdout.readline() == f"The page is ready: {address} (press Ctrl-C to stop)\n"
        with urllib.request.urlopen(address) as page:
            assert "Detection Explorer" in page.read().decode()
        assert process.stdout.readline() == "The model is warm.\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        assert process.stdout.read() == "Ending.\n"


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ends_on_ctrl_c_while_it_starts():
    with started() as (process, _):
        assert process.stdout is not None
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == -signal.SIGINT
        assert process.stdout.read() == ""


@pytest.fixture
def _in_this_process(monkeypatch):
    """Leaves the test runner its signals and its environment, and ends at once what should not have been served."""
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(cli_serve, "_wait_for_interruption", lambda: None)
    with patch.dict(os.environ):
        yield


@pytest.mark.usefixtures("_in_this_process")
def test_a_taken_port_is_said(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "--port", str(port)]) == 2
    assert capsys.readouterr().err == f"Cannot listen on 127.0.0.1:{port}. If the port is taken, choose another with --port.\n"


@pytest.mark.usefixtures("_in_this_process")
@pytest.mark.parametrize(
    ("flags", "environment", "told"),
    [
        (["--port", "65536"], {}, "--port must be a whole number from 0 to 65535, not “65536”.\n"),
        ([], {"GRADIO_SERVER_PORT": "http"}, "GRADIO_SERVER_PORT must be a whole number from 0 to 65535, not “http”.\n"),
        (["--models", "nowhere"], {}, "nowhere"),
        (["--device", "abacus"], {}, "abacus"),
        ([], {"DETECTION_EXPLORER_DEVICE": "abacus"}, "abacus"),
        ([], {"DETECTION_EXPLORER_MAX_BATCH": "many"}, "DETECTION_EXPLORER_MAX_BATCH"),
        (["--keep-images", __file__], {}, "test_serve.py"),
    ],
)
def test_what_cannot_be_is_said(capsys, monkeypatch, flags, environment, told):
    for name, value in {"GRADIO_SERVER_PORT": "0", **environment}.items():
        monkeypatch.setenv(name, value)
    assert main(["serve", *flags]) == 2
    assert told in capsys.readouterr().err


@pytest.mark.usefixtures("_in_this_process")
def test_a_precision_that_the_device_has_not_is_said(capsys, monkeypatch):
    monkeypatch.setenv("DETECTION_EXPLORER_PRECISION", "exact")
    monkeypatch.setattr("detection_core.models.optimized.sixteen_bits", lambda device: None)
    assert main(["serve", "--port", "0", "--precision", "fast"]) == 2
    assert "Fast precision is not available" in capsys.readouterr().err
