"""Files that the server writes for the browser: images to show, and results to save."""

from __future__ import annotations

from pathlib import Path

from gradio.components.base import Component
from gradio.processing_utils import save_bytes_to_cache

from detection_core.images.reading import LoadedImage, encode_jpeg


def serve_bytes(data: bytes, file_name: str, component: Component) -> str:
    """Writes a file into the folder that Gradio serves; it is deleted with the component's other files.

    Returns:
        Its path.
    """
    path = str(save_bytes_to_cache(data, file_name, cache_dir=component.GRADIO_CACHE))
    component.temp_files.add(path)
    return path


def shown_file(path: str, loaded: LoadedImage, component: Component) -> str:
    """The file that the browser shows: the uploaded one, or a JPEG if browsers would show that file differently."""
    return path if loaded.web_safe else serve_bytes(encode_jpeg(loaded.image), f"{Path(path).stem}.jpg", component)
