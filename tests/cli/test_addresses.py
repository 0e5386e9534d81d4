"""The addresses for other machines, and their QR code."""

from __future__ import annotations

import io
import sys

import pytest

from detection_core.cli import addresses
from detection_core.cli.addresses import network_address, qr_code
from detection_core.settings import Settings


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
