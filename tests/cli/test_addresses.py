"""The addresses for other machines: which they are, and what is said where a public link cannot be made."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace

import pytest
from gradio import networking, tunneling
from gradio.exceptions import ChecksumMismatchError, ShareCertificateWriteError

from detection_core.cli import addresses
from detection_core.cli.addresses import ShareError, network_address, qr_code, share
from detection_core.settings import Settings

APP = SimpleNamespace(server_name="127.0.0.1", server_port=7860, share_token="token", share_server_address=None)


@pytest.mark.parametrize(
    ("host", "settings", "environment", "address"),
    [
        ("127.0.0.1", {}, {}, None),
        ("localhost", {}, {}, None),
        ("[::1]", {}, {}, None),
        ("192.168.1.5", {}, {}, "http://192.168.1.5:80"),
        ("[fe80::1]", {}, {}, "http://[fe80::1]:80"),
        ("0.0.0.0", {}, {}, "http://10.0.0.7:80"),
        ("127.0.0.1", {"root_path": "https://school.example/detection"}, {}, "https://school.example/detection"),
        ("0.0.0.0", {}, {"SPACE_HOST": "me-detect.hf.space"}, "https://me-detect.hf.space"),
    ],
)
def test_address_for_other_machines(monkeypatch, host, settings, environment, address):
    monkeypatch.setattr(addresses, "_own_address", lambda: "10.0.0.7")
    monkeypatch.delenv("SPACE_HOST", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert network_address(Settings(**settings), host, 80) == address


def test_a_qr_code_has_what_a_reader_needs(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), "utf-8"))
    blocks = qr_code("http://10.0.0.7:7860").splitlines()
    # 25 squares and a quiet zone of four on each side; two rows of squares in a line of text.
    assert {len(line) for line in blocks if line} == {33}
    assert len([line for line in blocks if line]) == 17
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), "ascii"))
    assert qr_code("http://10.0.0.7:7860").isascii()


@pytest.mark.parametrize(
    ("error", "has_program", "offline", "told"),
    [
        (RuntimeError("Could not get share link from Gradio API Server."), True, False, "gradio.app cannot be reached"),
        (RuntimeError("Could not get share link from Gradio API Server."), False, False, "frpc is missing; download https://"),
        (ChecksumMismatchError(), True, False, "damaged"),
        (ShareCertificateWriteError(), True, False, "certificate"),
        (None, False, True, "frpc, is not on this machine; download https://"),
    ],
)
def test_what_a_public_link_lacks_is_said(monkeypatch, tmp_path, error, has_program, offline, told):
    program = tmp_path / "frpc"
    if has_program:
        program.write_bytes(b"")
    monkeypatch.setattr(tunneling, "BINARY_PATH", str(program))

    def fail(*_: object) -> str:
        assert error is not None
        raise error

    monkeypatch.setattr(networking, "setup_tunnel", fail)
    with pytest.raises(ShareError) as raised:
        share(APP, offline=offline)
    assert told in str(raised.value)
    assert str(raised.value).startswith("There is no public link: ")


def test_a_public_link_is_secure(monkeypatch):
    monkeypatch.setattr(networking, "setup_tunnel", lambda *_: "http://abc.gradio.live")
    app = SimpleNamespace(**vars(APP))
    assert share(app, offline=False) == app.share_url == "https://abc.gradio.live"
