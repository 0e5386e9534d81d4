"""The page as a whole: tabs, what happens when visitors come and go, and how it is served."""

from __future__ import annotations

from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from detection_core.engine import Engine
from detection_core.ui.api import add_api
from detection_core.ui.components.model_picker import picker_value
from detection_core.ui.components.model_table import table_value
from detection_core.ui.detect_tab import build_detect_tab
from detection_core.ui.limits import UPLOAD_LIMIT, BodyLimit
from detection_core.ui.models_tab import build_models_tab
from detection_core.ui.session import ResultStore
from detection_core.ui.theme import CSS, theme

# How often uploads are cleaned up, and how old they may get, in seconds.
_CLEAN_UP = (15 * 60, 6 * 3600)
_MAX_EVENTS = 200
_MASTHEAD = "<h1>Detection Explorer</h1><p>See what torchvision's detection models see, in your own pictures.</p>"


def build_app(engine: Engine) -> gr.Blocks:
    """Builds the page.

    Args:
        engine: Where detection runs.

    Returns:
        The page; serve it with `app.launch(**launch_options())`.
    """
    results = ResultStore()
    with gr.Blocks(title="Detection Explorer", analytics_enabled=False, delete_cache=_CLEAN_UP, fill_width=True) as app:
        gr.HTML(_MASTHEAD, elem_id="masthead")
        with gr.Tabs():
            with gr.Tab("Detect"):
                picker = build_detect_tab(app, engine, results)
            with gr.Tab("Models") as models_tab:
                table = build_models_tab(engine)
        add_api(engine)

        def refresh(selected: str) -> tuple[dict[str, Any], dict[str, Any]]:
            """Looks which models there are now; a user's may have come, changed or gone."""
            states = engine.model_states()
            return picker_value(selected, states), table_value(states)

        gr.on(
            [app.load, models_tab.select],
            refresh,
            picker,
            [picker, table],
            queue=False,
            api_visibility="private",
            show_progress="hidden",
        )

        def leave(request: gr.Request) -> None:
            engine.cancel_visitor(request.session_hash or "")

        app.unload(leave)
        app.queue(max_size=_MAX_EVENTS)
        # Gradio repeats the links' text as their icons' alternative text; screen readers would say it twice.
        app.load(None, js="() => { document.querySelectorAll('footer img').forEach((image) => { image.alt = ''; }); }")
    return app


def launch_options() -> dict[str, Any]:
    """Everything that `launch()` must know about this page, apart from where it listens."""
    return {
        "theme": theme(),
        "css": CSS,
        "footer_links": ["api", "settings"],
        "run_history": False,
        "show_error": False,
        "max_file_size": UPLOAD_LIMIT,
        "app_kwargs": {"middleware": [Middleware(BodyLimit)]},
    }
