"""What is said where a public link cannot be made."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from gradio import networking, tunneling
from gradio.exceptions import ChecksumMismatchError, ShareCertificateWriteError

from detection_core.ui.shared.public_link import ShareError, share

APP = SimpleNamespace(server_name="127.0.0.1", server_port=7860, share_token="token", share_server_address=None)


@pytest.mark.parametrize(
    ("error", "has_program", "offline", "message"),
    [
        (RuntimeError("Could not get share link from Gradio API Server."), True, False, "gradio.app cannot be reached"),
        (RuntimeError("Could not get share link from Gradio API Server."), False, False, "frpc is missing; download https://"),
        (ChecksumMismatchError(), True, False, "damaged"),
        (ShareCertificateWriteError(), True, False, "certificate"),
        (None, False, True, "frpc, is not on this machine; download https://"),
    ],
)
def test_what_a_public_link_lacks_is_said(monkeypatch, tmp_path, error, has_program, offline, message):
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
    assert message in str(raised.value)
    assert str(raised.value).startswith("There is no public link: ")


def test_a_public_link_is_secure(monkeypatch):
    monkeypatch.setattr(networking, "setup_tunnel", lambda *_: "http://abc.gradio.live")
    app = SimpleNamespace(**vars(APP))
    assert share(app, offline=False) == app.share_url == "https://abc.gradio.live"
