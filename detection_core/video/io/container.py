"""Opens media files, limited to known formats that cannot refer to other files or to the network."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container.input import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from detection_core.video.io.limits import VideoError

READABLE = "MP4, MOV, WebM, MKV, AVI, MPEG, WMV, FLV or GIF"
# FFmpeg's names. Lists and scripts (hls, dash, concat), which refer to other files, and images are left out.
_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,gif,mpegts,mpeg,flv,ogg,asf"
_OPTIONS = {"format_whitelist": _FORMATS, "protocol_whitelist": "file"}


@contextmanager
def open_media(path: str | os.PathLike[str]) -> Iterator[InputContainer]:
    """Opens a media file and closes it afterwards.

    Raises:
        VideoError: If the file does not exist, is not a video or is too damaged to be opened.
    """
    file = _existing(path)
    try:
        # With an explicit protocol, no file name is interpreted as an address. Titles may be in any encoding, and are not used.
        container = av.open(f"file:{file}", container_options=_OPTIONS, metadata_errors="replace")
    except av.error.FFmpegError as error:
        raise VideoError(_why_unreadable(file)) from error
    with container:
        yield container


def holds_video(path: str | os.PathLike[str]) -> bool:
    """Returns whether a file contains a video in a supported format."""
    try:
        with open_media(path) as container:
            return moving_images(container) is not None
    except VideoError:
        return False


def file_bytes(path: str | os.PathLike[str]) -> int:
    """Returns the size of a file in bytes.

    Raises:
        VideoError: If the file does not exist.
    """
    return _existing(path).stat().st_size


def moving_images(container: InputContainer) -> VideoStream | None:
    """Returns the video stream to show, or None if there is only sound and its cover image."""
    shown = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    default = [stream for stream in shown if stream.disposition & Disposition.default]
    return next(iter(default or shown), None)


def sound(container: InputContainer) -> AudioStream | None:
    """Returns the audio stream to play, or None if none can be decoded."""
    decodable = [stream for stream in container.streams.audio if stream.codec_context is not None]
    default = [stream for stream in decodable if stream.disposition & Disposition.default]
    return next(iter(default or decodable), None)


def _existing(path: str | os.PathLike[str]) -> Path:
    # The system's errors contain the path, so they are not passed on.
    try:
        file = Path(path).absolute()
        if file.is_dir():
            raise VideoError("This is a folder, not a file: choose a video inside.")
        # Reading a pipe or a device could block forever.
        if file.exists() and not file.is_file():
            raise VideoError("This is not a regular file: choose a video file.")
        with file.open("rb"):
            return file
    except (FileNotFoundError, NotADirectoryError):
        raise VideoError("There is no such file. Check the name and the folder.") from None
    except PermissionError:
        raise VideoError("The file may not be opened: its permissions forbid it.") from None
    except (OSError, TypeError) as error:
        raise VideoError("The file could not be opened. Check its name and the disk.") from error


_BEGINNINGS = {
    4: (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide"),
    0: (b"\x1aE\xdf\xa3", b"RIFF", b"GIF8", b"FLV", b"OggS", b"0&\xb2u", b"\0\0\1\xba", b"\0\0\1\xb3"),
}


def _why_unreadable(file: Path) -> str:
    with file.open("rb") as stream:
        head = stream.read(16)
    if not head:
        return "The file is empty. Choose another one, or download it again."
    if any(head.startswith(beginning, offset) for offset, beginnings in _BEGINNINGS.items() for beginning in beginnings):
        return "The video is damaged or was not copied completely. Download or export it again."
    return f"This is not a video that can be read. Choose a file in {READABLE}."
