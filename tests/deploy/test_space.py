"""The repository is a Hugging Face Space: its front matter is valid, and `app.py` serves it in the environment of one."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import gradio
import pytest
import yaml
from gradio_client import Client, handle_file

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
# Those of the Spaces configuration reference that matter for a Gradio Space.
COLORS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
KEYS = {"title", "emoji", "colorFrom", "colorTo", "sdk", "sdk_version", "python_version", "app_file", "license", "short_description"}
OPTIONAL = {"fullWidth", "pinned", "tags"}


def test_front_matter():
    _, block, body = README.split("---\n", 2)
    facts = yaml.safe_load(block)
    assert facts.keys() >= KEYS
    assert facts.keys() <= KEYS | OPTIONAL
    assert {facts["colorFrom"], facts["colorTo"]} <= COLORS
    assert len(facts["short_description"]) <= 60
    assert (ROOT / facts["app_file"]).is_file()
    assert (facts["sdk"], facts["license"]) == ("gradio", "bsd-3-clause")
    # The version that tests run with, and that requirements.txt allows.
    assert facts["sdk_version"] == gradio.__version__
    assert f"gradio~={facts['sdk_version'].rpartition('.')[0]}" in (ROOT / "requirements.txt").read_text("utf-8").splitlines()
    assert re.fullmatch(r"3\.1[1-9]", facts["python_version"])
    assert body.lstrip().startswith("# Detection Explorer\n")


@pytest.mark.slow
def test_it_runs_in_the_environment_of_a_space(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    # Nothing can be written to the home folder, nor made below it.
    home = "/dev/null/home"
    environment = {
        **{name: os.environ[name] for name in ("PATH", "OMP_NUM_THREADS", "LD_LIBRARY_PATH") if name in os.environ},
        **{"SYSTEM": "spaces", "SPACE_ID": "me/detect", "SPACE_HOST": "me-detect.hf.space", "SPACE_AUTHOR_NAME": "me"},
        **{"SPACE_REPO_NAME": "detect", "SPACE_TITLE": "Detection Explorer", "CPU_CORES": "2", "MEMORY": "16Gi"},
        **{"GRADIO_SERVER_NAME": "0.0.0.0", "GRADIO_SERVER_PORT": str(port), "HOME": home, "HF_HOME": f"{home}/.cache"},
        **{"PYTHONUNBUFFERED": "1", "TMPDIR": str(tmp_path), "DETECTION_EXPLORER_MODELS_DIR": ""},
    }
    command = [sys.executable, "app.py"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            assert process.stdout is not None
            lines: list[str] = []
            while not (lines and lines[-1].startswith("The model is warm.")):
                lines.append(process.stdout.readline())
                assert lines[-1], "".join(lines)
            assert "For other machines: https://me-detect.hf.space\n" in lines
            client = Client(f"http://127.0.0.1:{port}", verbose=False)
            image = handle_file(ROOT / "assets/examples/chelsea.jpg")
            detections, _ = client.predict(image, "ssdlite300_mobilenet_v2", 0.5, api_name="/detect")
            assert [each["label"] for each in detections["objects"]] == ["cat"], detections
        finally:
            process.kill()
