"""The files of `deploy/` name what exists: settings, sources, the health check and limits that fit each other."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import yaml

from detection_core.settings import DEFINITIONS, Settings, read_settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text("utf-8")
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
NGINX = (DEPLOY / "nginx.conf").read_text("utf-8")
VARIABLES = {each.variable for each in DEFINITIONS}


@pytest.mark.parametrize("path", [*DEPLOY.iterdir(), ROOT / "docs/deployment.md"], ids=lambda path: path.name)
def test_settings_exist(path: Path):
    text = path.read_text("utf-8")
    assert set(re.findall(r"\b(?:DETECTION_EXPLORER|GRADIO)_[A-Z_]+", text)) <= VARIABLES
    flags = {each.flag for each in DEFINITIONS} | {each.flag.replace("--", "--no-") for each in DEFINITIONS if not each.metavar}
    if path.suffix == ".md":
        assert set(re.findall(r"`(--[a-z-]+)", text)) <= flags | {"--build-arg", "--gpus"}


def test_the_image_has_what_runs():
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text("utf-8").splitlines()
    sources = re.findall(r"^COPY (\S+) ", DOCKERFILE, re.MULTILINE)
    assert sources
    for source in sources:
        assert (ROOT / source).exists()
        assert f"!{source}" in ignored
    assert re.search(r"^USER \d+$", DOCKERFILE, re.MULTILINE)
    assert DOCKERFILE.rstrip().endswith('CMD ["python", "app.py"]')
    assert "/healthz" in DOCKERFILE


def test_the_dockerfile_is_as_hadolint_wants_it():
    hadolint = shutil.which("hadolint", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if hadolint is None:
        pytest.skip("hadolint is not installed")
    checked = subprocess.run([hadolint, DEPLOY / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


@pytest.mark.slow
def test_what_the_image_has_is_enough(tmp_path: Path):
    """The files that are copied into it, with its environment, serve a page that detects objects and writes to /tmp only."""
    app, writable = tmp_path / "app", tmp_path / "tmp"
    app.mkdir()
    writable.mkdir()
    for source in re.findall(r"^COPY (\S+) ", DOCKERFILE, re.MULTILINE):
        if (ROOT / source).is_dir():
            # As .dockerignore says.
            shutil.copytree(ROOT / source, app / source, ignore=shutil.ignore_patterns("__pycache__", "*.pyi", "screenshots"))
        else:
            shutil.copy(ROOT / source, app)
    assert not [path for path in app.rglob("*") if path.name == "tests" or path.suffix in (".pyi", ".pyc")]
    assert (app / "assets" / "examples").is_dir()
    declared = re.search(r"^ENV ((?:.*\\\n)*.*)$", DOCKERFILE, re.MULTILINE)
    assert declared
    variables = dict(re.findall(r"(\w+)=(\S+)", declared[1].replace("/tmp", str(writable)).replace("/weights", str(writable / "weights"))))
    assert variables.keys() >= {"GRADIO_SERVER_NAME", "HOME", "TORCH_HOME"}
    environment = {"PATH": os.environ["PATH"], "TMPDIR": str(writable), "PYTHONDONTWRITEBYTECODE": "1", **variables}
    (command,) = re.findall(r'^CMD \["python", "(.+)"\]$', DOCKERFILE, re.MULTILINE)
    before = {path for path in app.rglob("*") if path.suffix != ".pyi"}
    arguments = [sys.executable, command, "--host", "127.0.0.1", "--port", "0"]
    with subprocess.Popen(arguments, cwd=app, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = next(found[1] for line in process.stdout if (found := re.match(r"The page is ready: (http\S+)", line)))
            assert httpx.get(f"{address}/healthz").status_code == 200
            image = (app / "assets/examples/chelsea.jpg").read_bytes()
            answer = httpx.post(f"{address}/api/v1/detect", files={"image": ("a.jpg", image)}, timeout=60)
            assert [each["label"] for each in answer.json()["objects"]] == ["cat"]
        finally:
            process.kill()
    # Gradio tries to write these, and goes on where it cannot.
    assert {path for path in app.rglob("*") if path.suffix != ".pyi"} == before


def test_the_containers_of_compose():
    services = COMPOSE["services"]
    assert services.keys() == {"page1", "page2", "nginx"}
    for service in services.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
    page = services["page1"]
    assert (DEPLOY / page["build"]["context"] / page["build"]["dockerfile"]).samefile(DEPLOY / "Dockerfile")
    read_settings({}, page["environment"])
    # Otherwise all programs would have nginx's address; nothing else may reach the pages then.
    assert page["environment"]["FORWARDED_ALLOW_IPS"] == "*"
    assert not {"ports", "network_mode"} & page.keys()
    assert "proxy_set_header X-Forwarded-For $remote_addr;" in NGINX
    # Docker kills what has not ended by then.
    assert int(page["stop_grace_period"].removesuffix("s")) > 10
    assert set(re.findall(r"server (\w+):7860", NGINX)) == services.keys() - {"nginx"}
    assert f"{page['environment']['GRADIO_ROOT_PATH']}/ {{" in NGINX
    assert "listen 8080;" in NGINX


def test_nginx_lets_the_largest_video_pass():
    limit = re.search(r"client_max_body_size (\d+)m;", NGINX)
    assert limit
    assert int(limit[1]) * 2**20 > Settings().max_video_megabytes * 1e6


def test_the_service_is_valid(tmp_path: Path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not installed")
    # With a program that exists on this machine.
    text = (DEPLOY / "detection-explorer.service").read_text("utf-8").replace("/opt/detection-explorer/.venv/bin/python", "/bin/true")
    unit = tmp_path / "detection-explorer.service"
    unit.write_text(text, "utf-8")
    checked = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
