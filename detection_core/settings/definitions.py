"""The one table of settings: each with its value's type, flag, environment variable, default, parser and explanation."""

# ruff: noqa: RUF009 (_setting makes a field, as dataclasses.field does)

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from detection_core.settings import parsers


@dataclass(frozen=True)
class Definition:
    """How one setting is given.

    Attributes:
        name: The attribute of `Settings`.
        flag: The flag of `serve`.
        variable: The environment variable.
        default: The value if neither is given.
        parse: Turns a text into a value; raises ValueError with what the text must be.
        help: What it means, without its default.
        metavar: What stands for the value in the flag's help; empty for switches, which have a --no- form, too.
        shown_default: The default in the help and in docs/settings.md.
        secret: Whether messages must not repeat its value.
        may_be_empty: Whether an empty variable is a value, and not the same as none.
        former: Flag and variable by which it was known before.
    """

    name: str
    flag: str
    variable: str
    default: Any
    parse: Callable[[str], Any]
    help: str
    metavar: str
    shown_default: str
    secret: bool = False
    may_be_empty: bool = False
    former: tuple[str, str] | None = None


def _setting(
    default: Any, flag: str, variable: str, parse: Callable[[str], Any], meaning: str, metavar: str, shown: str = "", **more: Any
) -> Any:
    """Makes a field of `Settings`; the names of variables get the project's prefix unless they have another one."""
    variable = variable if variable.startswith(("GRADIO_", "TORCH_")) else f"DETECTION_EXPLORER_{variable}"
    given = {"flag": flag, "variable": variable, "default": default, "parse": parse, "help": meaning, "metavar": metavar}
    given["shown_default"] = shown or str(default)
    return dataclasses.field(default=default, metadata=given | more, repr=not more.get("secret", False))


def _switch(default: bool, flag: str, variable: str, meaning: str) -> Any:
    return _setting(default, flag, variable, parsers.switch, meaning, "", "on" if default else "off")


@dataclass(frozen=True)
class Settings:
    """The values of all settings; `read_settings` makes one from flags and environment. The meaning is beside each."""

    # Where the page is served.
    host: str = _setting("127.0.0.1", "--host", "GRADIO_SERVER_NAME", str, "address to listen on; 0.0.0.0 for all", "ADDRESS")
    port: int = _setting(
        7860, "--port", "GRADIO_SERVER_PORT", parsers.whole(7860, largest=65535), "port to listen on; 0 for any free port", "PORT"
    )
    root_path: str = _setting(
        "", "--root-path", "GRADIO_ROOT_PATH", parsers.root_path, "path below which a proxy serves the page", "PATH", "none"
    )
    share: bool = _switch(False, "--share", "GRADIO_SHARE", "also make a public gradio.live link")
    qr: bool = _switch(False, "--qr", "QR", "print the page's address as a QR code")
    show_links: bool = _switch(True, "--show-links", "SHOW_LINKS", "whether the page has links to its API and its settings")
    log_format: Literal["lines", "json"] = _setting(
        "lines", "--log-format", "LOG_FORMAT", parsers.choice("lines", "json"), "how messages are logged: lines or json", "FORMAT"
    )
    # Who may use it.
    auth: tuple[tuple[str, str], ...] = _setting(
        (),
        "--auth",
        "AUTH",
        parsers.credentials,
        "users and passwords: user:password pairs separated by commas, or (safer) a file with one pair in each line",
        "PAIRS|FILE",
        "everyone may use the page",
        secret=True,
    )
    allowed_origins: tuple[str, ...] = _setting(
        (),
        "--allowed-origins",
        "ALLOWED_ORIGINS",
        parsers.origins,
        "other sites whose scripts may use the API (CORS), such as https://example.org, or *",
        "ORIGINS",
        "none",
    )
    frame_ancestors: tuple[str, ...] = _setting(
        (),
        "--frame-ancestors",
        "FRAME_ANCESTORS",
        parsers.origins,
        "other sites that may embed the page, such as https://example.org, or *",
        "ORIGINS",
        "none, or huggingface.co on a Space",
    )
    allow_urls: bool = _switch(
        False, "--allow-urls", "ALLOW_URLS", "let programs send the URL of an image on a public host, which the server then fetches"
    )
    mcp: bool = _switch(False, "--mcp", "MCP", "offer tools for AI assistants (Model Context Protocol) at /mcp")
    # Models.
    device: str = _setting("cpu", "--device", "DEVICE", str, "device for the models: cpu, cuda, cuda:1, mps", "DEVICE")
    precision: str = _setting(
        "exact",
        "--precision",
        "PRECISION",
        parsers.choice("exact", "fast", "stock"),
        "default precision: exact (float32), fast (16 bits, if the hardware supports it) or stock (torchvision's own modules)",
        "PRECISION",
    )
    models_dir: tuple[Path, ...] = _setting(
        (Path("models"),),
        "--models",
        "MODELS_DIR",
        parsers.folders,
        "folders (separated as in PATH) with your own models",
        "DIR",
        "models, if it exists",
        may_be_empty=True,
    )
    memory_budget: int | None = _setting(
        None,
        "--memory-budget",
        "MEMORY_BUDGET",
        parsers.size,
        "memory for loaded models, such as 4GiB or 500MB; the least recently used models are removed first",
        "SIZE",
        "half of the free memory",
    )
    torch_home: Path | None = _setting(
        None,
        "--torch-home",
        "TORCH_HOME",
        parsers.folder_to_make,
        "torch.hub's folder, whose hub/checkpoints keeps downloaded weights; if it is not writable, a temporary folder is used",
        "DIR",
        "~/.cache/torch",
    )
    weights_dir: tuple[Path, ...] = _setting(
        (),
        "--weights-dir",
        "WEIGHTS_DIR",
        parsers.folders,
        "folders (separated as in PATH) with .pth files under their official names, for machines without internet",
        "DIR",
        "none",
    )
    weights_mirror: str = _setting(
        "https://download.pytorch.org/models",
        "--weights-mirror",
        "WEIGHTS_MIRROR",
        parsers.address,
        "base address to download weights from",
        "ADDRESS",
        secret=True,  # It may contain a password.
    )
    offline: bool = _switch(False, "--offline", "OFFLINE", "never download anything: only models that are on this machine can be used")
    # Where detection runs.
    engine: Literal["local", "ray"] = _setting(
        "local", "--engine", "ENGINE", parsers.choice("local", "ray"), "where detection runs: local, or ray for a Ray cluster", "ENGINE"
    )
    ray_address: str = _setting(
        "", "--ray-address", "RAY_ADDRESS", parsers.ray_address, "the Ray cluster: auto or HOST:PORT", "ADDRESS", "one is started here"
    )
    workers: int = _setting(4, "--workers", "WORKERS", parsers.whole(4), "most detectors that are started on a Ray cluster", "NUMBER")
    # Limits.
    max_megapixels: float = _setting(
        50.0, "--max-megapixels", "MAX_MEGAPIXELS", parsers.positive(50), "largest accepted image in megapixels", "NUMBER", "50"
    )
    max_image_megabytes: float = _setting(
        50.0, "--max-image-megabytes", "MAX_IMAGE_MEGABYTES", parsers.positive(50), "largest uploaded image file", "NUMBER", "50"
    )
    max_video_seconds: float = _setting(
        600.0,
        "--max-video-seconds",
        "MAX_VIDEO_SECONDS",
        parsers.positive(600),
        "longest video; the command line has no limit unless the variable is set",
        "NUMBER",
        "600",
    )
    max_video_megabytes: float = _setting(
        200.0,
        "--max-video-megabytes",
        "MAX_VIDEO_MEGABYTES",
        parsers.positive(200),
        "largest video file; the command line has no limit unless the variable is set",
        "NUMBER",
        "200",
    )
    max_batch: int = _setting(200, "--max-batch", "MAX_BATCH", parsers.whole(200), "most images in one batch of the Batch tab", "NUMBER")
    max_queue: int = _setting(200, "--max-queue", "MAX_QUEUE", parsers.whole(200), "most requests that wait at a time", "NUMBER")
    # With more, each would get less than one frame a second from a light model on two cores.
    max_live_visitors: int = _setting(
        12, "--max-live-visitors", "MAX_LIVE_VISITORS", parsers.whole(12), "most cameras served at a time; others wait", "NUMBER"
    )
    # What is kept.
    keep_uploads_seconds: int = _setting(
        21_600,
        "--keep-uploads-seconds",
        "KEEP_UPLOADS_SECONDS",
        parsers.whole(21_600),
        "how long uploaded files and results are kept",
        "SECONDS",
    )
    temp_quota_bytes: int | None = _setting(
        None, "--temp-quota", "TEMP_QUOTA", parsers.size, "most bytes of uploads and results on disk, such as 10GB", "SIZE", "no limit"
    )
    keep_images: Path | None = _setting(
        None,
        "--keep-images",
        "KEEP_IMAGES",
        parsers.folder_to_make,
        "folder where visitors who request a link can store their own image, without its metadata",
        "DIR",
        "no images are kept",
        # From before the first release.
        former=("--keep-pictures", "DETECTION_EXPLORER_KEEP_PICTURES"),
    )


DEFINITIONS = tuple(Definition(name=each.name, **each.metadata) for each in dataclasses.fields(Settings))
