"""An S3 server on this machine, and images for it."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from PIL import Image

from detection_core.models.catalog import ASSETS

# The server takes any. With those in the environment, pyarrow asks no cloud for others.
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "user", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}


class S3Server:
    """A server, whose buckets are in this process."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint

    def address(self, path: str, credentials: str = "") -> str:
        """The address of an object or folder."""
        return f"s3://{credentials}{path}?endpoint_override={self._endpoint}&scheme=http&region=us-east-1"

    def fill(self, bucket: str, files: Mapping[str, bytes]) -> None:
        """Creates a bucket with objects; not by requests, because thousands of these take long."""
        from moto.core import DEFAULT_ACCOUNT_ID
        from moto.s3.models import s3_backends

        backend: Any = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
        backend.create_bucket(bucket, "us-east-1")
        for name, content in files.items():
            backend.put_object(bucket, name, content)


@contextmanager
def start_server() -> Iterator[S3Server]:
    """Starts the server."""
    moto = pytest.importorskip("moto.server", reason="There is no S3 server: pip install -r requirements-scale-dev.txt")
    pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install -r requirements-scale-dev.txt")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        yield S3Server(":".join(map(str, server.get_host_and_port())))
    finally:
        server.stop()


def use_credentials() -> None:
    """Puts the credentials into the environment, as AWS's tools read them; each test has its own environment."""
    os.environ |= CREDENTIALS


def encoded_images(count: int) -> list[bytes]:
    """Files of small images that differ."""
    with Image.open(ASSETS / "examples" / "astronaut.jpg") as image:
        pixels = np.array(image.convert("RGB").resize((120, 120)))
    files = []
    for number in range(count):
        pixels[0, 0] = number
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        files.append(file.getvalue())
    return files
