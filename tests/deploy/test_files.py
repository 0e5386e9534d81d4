"""The files of `deploy/` name what exists: settings, sources, the health check and limits that fit each other."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

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


def test_the_containers_of_compose():
    services = COMPOSE["services"]
    assert services.keys() == {"page1", "page2", "nginx"}
    for service in services.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
    page = services["page1"]
    assert (DEPLOY / page["build"]["context"] / page["build"]["dockerfile"]).samefile(DEPLOY / "Dockerfile")
    read_settings({}, page["environment"])
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
