"""Turns the texts of settings into values. A parser raises ValueError with what the text must be, such as "must be a number"."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?\s*", re.IGNORECASE)
_SWITCH = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


def positive(example: float) -> Callable[[str], float]:
    """Makes a parser of positive numbers."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not 0 < value < math.inf:
            raise ValueError(f"must be a positive number such as {example:g}")
        return value

    return parse


def whole(example: int, largest: int | None = None) -> Callable[[str], int]:
    """Makes a parser of whole numbers: from 0 to the largest, or positive ones if there is no largest."""
    wanted = f"a positive whole number such as {example}" if largest is None else f"a whole number from 0 to {largest}"

    def parse(text: str) -> int:
        # int() would also accept "1_000", "+1" and digits of other scripts; more digits than these are a mistake.
        value = int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else -1
        if value < 0 or (value == 0 if largest is None else value > largest):
            raise ValueError(f"must be {wanted}")
        return value

    return parse


def choice(*values: str) -> Callable[[str], str]:
    """Makes a parser that accepts only these values."""

    def parse(text: str) -> str:
        if text not in values:
            raise ValueError(f"must be one of {', '.join(values)}")
        return text

    return parse


def switch(text: str) -> bool:
    """Parses yes or no, in the words that are usual for environment variables."""
    try:
        return _SWITCH[text.lower()]
    except KeyError:
        raise ValueError("must be one of 1, true, yes, on, 0, false, no, off") from None


def size(text: str) -> int:
    """Parses "500MB" (decimal), "4GiB" (binary) or a plain number of bytes, and returns bytes."""
    match = _SIZE.fullmatch(text)
    if not match:
        raise ValueError("must be a size: a number of bytes, or a number with a unit such as 4GiB or 500MB")
    number, prefix, binary = match.groups()
    return int(float(number) * (1024 if binary else 1000) ** " kmgt".index(prefix.lower() or " "))


def folders(text: str) -> tuple[Path, ...]:
    """Parses the names of folders that exist, separated as in `PATH`."""
    found = tuple(Path(name).expanduser() for name in text.split(os.pathsep) if name)
    if not all(folder.is_dir() for folder in found):
        raise ValueError("must name folders that exist")
    return found


def folder_to_make(text: str) -> Path:
    """Parses the name of a folder, which need not exist yet."""
    path = Path(text).expanduser()
    if path.exists() and not path.is_dir():
        raise ValueError("must name a folder")
    return path


def address(text: str) -> str:
    """Parses an http address."""
    if not _is_http(text):
        raise ValueError("must be an address that begins with http:// or https://")
    return text.rstrip("/")


def ray_address(text: str) -> str:
    """Parses the address of a Ray cluster."""
    host, _, port = text.rpartition(":")
    if text != "auto" and not (host and "/" not in host and port.isascii() and port.isdigit()):
        raise ValueError(
            "must be auto, or HOST:PORT of a cluster that this machine has joined (ray:// does not carry results as they come)"
        )
    return text


def root_path(text: str) -> str:
    """Parses a path below which the page is served, or its whole address; returns it without a slash at its end."""
    if not _is_http(text) and not (text.startswith("/") and not text.startswith("//") and text == urlsplit(text).path):
        raise ValueError("must be a path such as /detection, or a whole address such as https://example.org/detection")
    return text.rstrip("/")


def origins(text: str) -> tuple[str, ...]:
    """Parses origins, such as "https://example.org", separated by spaces or commas; "*" means all."""
    found = _words(text)
    if not all(_is_origin(each) for each in found if each != "*"):
        raise ValueError("must be origins such as https://example.org, separated by commas, or *")
    return found


def credentials(text: str) -> tuple[tuple[str, str], ...]:
    """Parses users and their passwords: "user:password" pairs separated by commas, or a file with one pair in each line."""
    path = Path(text).expanduser()
    try:
        is_file = path.is_file()
        lines = path.read_text("utf-8").splitlines() if is_file else text.split(",")
    except (OSError, UnicodeDecodeError):
        raise ValueError("must name a text file that can be read") from None
    pairs = [line.strip().partition(":") for line in lines if line.strip() and not (is_file and line.lstrip().startswith("#"))]
    if not pairs or not all(user and password for user, _, password in pairs):
        raise ValueError("must be pairs such as user:password, separated by commas, or a file with one pair in each line")
    if len({user for user, *_ in pairs}) < len(pairs):
        raise ValueError("must name each user once")
    return tuple((user, password) for user, _, password in pairs)


def _words(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text.replace(",", " ").split()))


def _is_http(text: str) -> bool:
    parts = urlsplit(text) if text.isprintable() and " " not in text else urlsplit("")
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _is_origin(text: str) -> bool:
    # What is more than scheme, host and port would never be equal to a browser's Origin.
    return _is_http(text) and text == f"{urlsplit(text).scheme}://{urlsplit(text).netloc}" and "@" not in text
