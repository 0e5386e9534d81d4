"""The page as a whole: tabs, what happens when visitors come and go, and how it is served."""

from __future__ import annotations

from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from detection_core.engine import Engine
from detection_core.ui.api import add_api
from detection_core.ui.batch.store import BatchStore
from detection_core.ui.batch.tab import build_batch_tab
from detection_core.ui.compare.tab import build_compare_tab
from detection_core.ui.components.model_picker import picker_value
from detection_core.ui.components.model_slots import slots_value
from detection_core.ui.components.modules import MODULES, preloading_head
from detection_core.ui.detect.tab import build_detect_tab
from detection_core.ui.live.model_speed import live_picker_value
from detection_core.ui.live.streams import LiveStreams
from detection_core.ui.live.tab import build_live_tab
from detection_core.ui.models.tab import build_models_tab
from detection_core.ui.models.view import table_value
from detection_core.ui.shared.image_links import ImageLinks
from detection_core.ui.shared.kept_images import KeptImages
from detection_core.ui.shared.limits import IMAGE_LIMIT, BodyLimit
from detection_core.ui.shared.session import KeptResult, ResultStore, cancel_all
from detection_core.ui.theme import CSS, theme
from detection_core.ui.video.tab import build_video_tab
from detection_core.video.io import VideoLimits

# How often uploads are cleaned up, and how old they may get, in seconds.
_CLEAN_UP = (15 * 60, 6 * 3600)
_MAX_EVENTS = 200
_MASTHEAD = "<h1>Detection Explorer</h1><p>See what torchvision's detection models see, in your own images.</p>"


def build_app(engine: Engine, *, keep: KeptImages | None = None) -> gr.Blocks:
    """Builds the page.

    Args:
        engine: Where detection runs.
        keep: Where visitors may keep images for links; None keeps none.

    Returns:
        The page; serve it with `app.launch(**launch_options())`.
    """
    results: ResultStore[KeptResult] = ResultStore()
    links, streams = ImageLinks(keep), LiveStreams()
    with gr.Blocks(title="Detection Explorer", analytics_enabled=False, delete_cache=_CLEAN_UP, fill_width=True) as app:
        gr.HTML(_MASTHEAD, elem_id="masthead")
        with gr.Tabs(overflow_behavior="wrap") as tabs:
            with gr.Tab("Detect", id="detect"):
                detect = build_detect_tab(app, engine, results)
            with gr.Tab("Compare", id="compare") as compare_tab:
                compare = build_compare_tab(compare_tab, engine, links)
            with gr.Tab("Live", id="live") as live_tab:
                live = build_live_tab(app, engine, streams)
            with gr.Tab("Video", id="video") as video_tab:
                video = build_video_tab(app, engine)
            with gr.Tab("Batch", id="batch") as batch_tab:
                batch = build_batch_tab(app, engine, BatchStore())
            with gr.Tab("Models", id="models") as models_tab:
                table = build_models_tab(models_tab, engine)
        add_api(engine, streams)

        def refresh(detecting: str, comparing: list[str], watching: str, tracking: str, batch: str) -> tuple[Any, ...]:
            """Looks which models there are now; a user's may have come, changed or gone."""
            states = engine.model_states()
            return (
                picker_value(detecting, states),
                slots_value(comparing, states),
                live_picker_value(watching, states, engine.run_seconds()),
                picker_value(tracking, states),
                picker_value(batch, states),
                video.model(tracking),
                table_value(states),
            )

        quiet: dict[str, Any] = {"queue": False, "api_visibility": "private", "show_progress": "hidden"}
        models = [detect.picker, compare.slots, live.picker, video.picker, batch.picker]
        told = [*models, video.view, table]
        gr.on([tab.select for tab in (compare_tab, live_tab, video_tab, batch_tab, models_tab)], refresh, models, told, **quiet)
        app.load(refresh, models, told, **quiet).then(compare.arrive, None, [tabs, *compare.arrival], **quiet)

        def open_in_detect(event: gr.EventData) -> tuple[Any, ...]:
            """Shows an image of the batch in the Detect tab, with everything that it offers."""
            found = batch.opened(event._data)
            if found is None:
                gr.Warning("This image is no longer kept on the server. Add it again.")
                return (gr.skip(),) * 3
            path, key = found
            return gr.Tabs(selected="detect"), str(path), picker_value(key, engine.model_states(), choose=True)

        detect.look(batch.view.open(open_in_detect, None, [tabs, *detect.inputs], **quiet))

        def show_frame(key: str, event: gr.EventData) -> tuple[Any, ...]:
            """Shows a frame of the camera in the Detect tab, with everything that it offers."""
            path = live.snapped(event._data)
            if path is None:
                gr.Warning("The frame did not reach the server. Try again.")
                return (gr.skip(),) * 3
            return gr.Tabs(selected="detect"), str(path), picker_value(key, engine.model_states(), choose=True)

        detect.look(live.view.snapshot(show_frame, live.picker, [tabs, *detect.inputs], **quiet))

        def leave(request: gr.Request) -> None:
            cancel_all(engine, request)

        app.unload(leave)
        app.queue(max_size=_MAX_EVENTS)
        # Gradio repeats the links' text as their icons' alternative text; screen readers would say it twice.
        app.load(None, js="() => { document.querySelectorAll('footer img').forEach((image) => { image.alt = ''; }); }")
    return app


def launch_options() -> dict[str, Any]:
    """Everything that `launch()` must know about this page, apart from where it listens.

    Raises:
        ValueError: If a limit that the environment sets is none.
    """
    largest = max(IMAGE_LIMIT, VideoLimits.from_environment().max_bytes)
    return {
        "theme": theme(),
        "css": CSS,
        # What the tab needs that the page opens with.
        "head": preloading_head("detect/view.js", "components/model_picker.js", "components/example_strip.js"),
        "footer_links": ["api", "settings"],
        "run_history": False,
        "show_error": False,
        "max_file_size": largest,
        "app_kwargs": {"middleware": [Middleware(BodyLimit, largest_file=largest)], "routes": [MODULES.route()]},
    }
