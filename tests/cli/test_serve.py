from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from unittest.mock import patch

import pytest
from gradio_client import Client, handle_file

from detection_core.cli import serve as cli_serve
from detection_core.cli.main import main
from detection_core.settings import Settings

ROOT = Path(__file__).parents[2]
# Help must not wait for imports that only the work needs.
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
    """The app as a process of its own, and the address that it prints at once."""
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
    ("command", "message"),
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
def test_help_imports_nothing_heavy(command: list[str], message: str):
    code = RUN.format(heavy=set(HEAVY))
    done = subprocess.run([sys.executable, "-c", code, *command, "--help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("status 0\nheavy\n")
    assert message in done.stdout


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


def test_serves_the_page_and_ends_on_ctrl_c(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.delenv("GRADIO_TEMP_DIR", raising=False)
    with started() as (process, address):
        assert process.stdout is not None
        assert process.stdout.readline() == f"The page is ready: {address} (press Ctrl-C to stop)\n"
        with urllib.request.urlopen(address) as page:
            assert "Detection Explorer" in page.read().decode()
        assert process.stdout.readline() == "The model is warm.\n"
        for path, answer in {"healthz": "alive\n", "readyz": "ready\n"}.items():
            with urllib.request.urlopen(f"{address}/{path}") as response:
                assert response.read().decode() == answer
        (folder,) = tmp_path.glob("detection-explorer-*")
        assert folder.stat().st_mode & 0o077 == 0
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        assert process.stdout.read() == "Ending.\n"
        # Also what visitors left.
        assert not list(tmp_path.glob("detection-explorer-*"))


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
    ("flags", "environment", "message"),
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
def test_what_cannot_be_is_said(capsys, monkeypatch, flags, environment, message):
    for name, value in {"GRADIO_SERVER_PORT": "0", **environment}.items():
        monkeypatch.setenv(name, value)
    assert main(["serve", *flags]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.usefixtures("_in_this_process")
def test_tools_for_assistants_without_their_package_are_said_before_anything_starts(capsys, monkeypatch):
    def find(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", find)
    assert main(["serve", "--port", "0", "--mcp"]) == 2
    assert capsys.readouterr() == ("", "--mcp needs the package mcp 2. Install it: pip install -r requirements-mcp.txt.\n")


def test_a_precision_that_the_device_has_not_is_said(capsys, monkeypatch):
    monkeypatch.setenv("DETECTION_EXPLORER_PRECISION", "exact")
    monkeypatch.setattr("detection_core.models.optimized.sixteen_bits", lambda device: None)
    assert main(["serve", "--port", "0", "--precision", "fast"]) == 2
    assert "Fast precision is not available" in capsys.readouterr().err


# Serves the page with models that take some seconds for each image once a file exists, and says when one begins.
SLOW = """
import sys, time
from pathlib import Path
from detection_core.cli.main import main
from detection_core.engine import passes
run = passes.run
def slow_run(*args, **kwargs):
    if Path(sys.argv[2]).exists():
        print("running", flush=True)
        time.sleep(float(sys.argv[1]))
    return run(*args, **kwargs)
passes.run = slow_run
sys.exit(main(["serve", "--port", "0"]))
"""


@contextmanager
def interrupted(seconds: float, mark: Path) -> Iterator[tuple[subprocess.Popen[str], Future]]:
    """A server that gets SIGTERM while it works on a visitor's image for so long, and the visitor's response."""
    command = [sys.executable, "-c", SLOW, str(seconds), str(mark)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        found = re.search(r"http://[\d.]+:\d+", process.stdout.readline())
        assert found
        try:
            wait_for(process, "The model is warm.")
            mark.touch()
            client = Client(found[0], verbose=False)
            image = handle_file(ROOT / "assets/examples/chelsea.jpg")
            visit = client.submit(image, "person_mobilenet_v2_fpn", 0.5, api_name="/detect")
            wait_for(process, "running")
            process.send_signal(signal.SIGTERM)
            yield process, visit
        finally:
            process.kill()


def wait_for(process: subprocess.Popen[str], beginning: str) -> None:
    """Reads until a line begins like this."""
    assert process.stdout is not None
    while not (line := process.stdout.readline()).startswith(beginning):
        assert line


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_response_in_progress_is_finished_after_sigterm(tmp_path):
    with interrupted(1, tmp_path / "mark") as (process, visit):
        assert process.wait(60) == 0
        detections, _ = visit.result(20)
        assert detections["model"] == "person_mobilenet_v2_fpn"
        assert process.stdout is not None
        assert process.stdout.read() == "Ending.\n"


@pytest.mark.slow
def test_a_connection_stays_open_for_longer_than_clients_keep_theirs():
    with started() as (process, address):
        wait_for(process, "The page is ready")
        connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=20)
        for pause in (0, 7):
            time.sleep(pause)
            connection.request("GET", "/healthz")
            assert connection.getresponse().read() == b"alive\n"


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_work_that_takes_long_does_not_hold_up_the_end(tmp_path):
    with interrupted(100, tmp_path / "mark") as (process, visit):
        assert process.wait(40) == 0
        assert process.stdout is not None
        assert process.stdout.read() == "Ending.\nStopped what was still in progress.\n"
        with pytest.raises(Exception, match=r".+"):
            visit.result(20)


def test_without_a_public_link_the_page_goes_on_locally(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("gradio.tunneling.BINARY_PATH", str(tmp_path / "frpc"))
    cli_serve._announce(None, Settings(share=True, qr=True, offline=True), "127.0.0.1", 80)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("There is no public link: Gradio's program for it, frpc, is not on this machine")
    assert lines[1].startswith("The page can only be opened on this machine.")
