"""The page as a whole: its tabs, the events between them, and how it is served."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from detection_core.engine import Engine
from detection_core.settings import Settings, read_settings
from detection_core.ui.api import Api
from detection_core.ui.batch.tab import BatchTab
from detection_core.ui.compare.tab import CompareTab
from detection_core.ui.components.model_picker import picker_value
from detection_core.ui.components.model_slots import slots_value
from detection_core.ui.components.modules import MODULES, preloading_head
from detection_core.ui.detect.tab import DetectTab
from detection_core.ui.evaluate.tab import EvaluateTab
from detection_core.ui.hosting.middleware import middleware
from detection_core.ui.hosting.monitor import Monitor
from detection_core.ui.hosting.origins import without_gradios_cors
from detection_core.ui.hosting.retention import Retention
from detection_core.ui.http_api.app import build_http_api, http_api_route
from detection_core.ui.languages.head import language_head
from detection_core.ui.live.model_speed import live_picker_value
from detection_core.ui.live.streams import LiveStreams
from detection_core.ui.live.tab import LiveTab
from detection_core.ui.mcp.server import McpServer, mcp_route
from detection_core.ui.models.tab import ModelsTab
from detection_core.ui.models.view import table_value
from detection_core.ui.service import Service
from detection_core.ui.shared.checked_blocks import CheckedBlocks
from detection_core.ui.shared.events import QUIET
from detection_core.ui.shared.full_disk import answer_full_disk
from detection_core.ui.shared.image_links import ImageLinks
from detection_core.ui.shared.image_urls import ImageFetcher
from detection_core.ui.shared.kept_images import KeptImages
from detection_core.ui.shared.limits import image_limit
from detection_core.ui.shared.request_errors import EXCEPTION_HANDLERS
from detection_core.ui.shared.session import cancel_all
from detection_core.ui.shared.visitor_store import VisitorStore
from detection_core.ui.theme import CSS, theme
from detection_core.ui.video.tab import VideoTab
from detection_core.video.io import VideoLimits

# Gradio deletes its files when the server ends; before that, `Retention` does. It asks for a frequency and an age, in seconds.
_ONLY_AT_THE_END = (24 * 3600, 100 * 365 * 24 * 3600)
# Open pages whose state is kept; each takes 0.2 MB, as does each call of an endpoint without a session.
_SESSIONS = 1000
# For events that may call `gr.Warning`, which without the queue only writes to the log.
_WARNING: dict[str, Any] = {"concurrency_limit": None, **QUIET}
_MASTHEAD = "<h1>Detection Explorer</h1><p>See what torchvision's detection models see, in your own images.</p>"


class _Page:
    """The tabs and what happens between them."""

    def __init__(self, engine: Engine, keep: KeptImages | None, streams: LiveStreams) -> None:
        self._engine = engine
        self.service = Service(engine, streams)
        self._detect = DetectTab(engine)
        self._compare = CompareTab(engine, ImageLinks(keep))
        self._live = LiveTab(engine, streams)
        self._video = VideoTab(engine)
        self._batch = BatchTab(engine)
        self._evaluate = EvaluateTab(engine)
        self._models = ModelsTab(engine)
        self._api = Api(self.service)

    def layout(self) -> None:
        gr.HTML(_MASTHEAD, elem_id="masthead")
        with gr.Tabs(overflow_behavior="wrap") as self._tabs:
            with gr.Tab("Detect", id="detect"):
                self._detect.layout()
            with gr.Tab("Compare", id="compare") as self._compare_tab:
                self._compare.layout()
            with gr.Tab("Live", id="live") as self._live_tab:
                self._live.layout()
            with gr.Tab("Video", id="video") as self._video_tab:
                self._video.layout()
            with gr.Tab("Batch", id="batch") as self._batch_tab:
                self._batch.layout()
            with gr.Tab("Evaluate", id="evaluate") as self._evaluate_tab:
                self._evaluate.layout()
            with gr.Tab("Models", id="models") as self._models_tab:
                self._models.layout()

    def wire(self, page: gr.Blocks) -> None:
        self._detect.wire(page)
        self._compare.wire(self._compare_tab)
        self._live.wire(page)
        self._video.wire(page)
        self._batch.wire(page)
        self._evaluate.wire(page)
        self._models.wire(self._models_tab)
        self._api.wire()
        pickers = [
            self._detect.picker,
            self._compare.slots,
            self._live.picker,
            self._video.picker,
            self._batch.picker,
            self._evaluate.slots,
        ]
        outputs = [*pickers, self._video.view, self._models.table]
        tabs = (self._compare_tab, self._live_tab, self._video_tab, self._batch_tab, self._evaluate_tab, self._models_tab)
        opened = [tab.select for tab in tabs]
        gr.on(opened, self.refresh, pickers, outputs, queue=False, **QUIET)
        loaded = page.load(self.refresh, pickers, outputs, queue=False, **QUIET)
        link_outputs = [self._tabs, *self._compare.link_outputs, *self._evaluate.link_outputs]
        loaded.then(self.open_link, None, link_outputs, **_WARNING)
        image_outputs = [self._tabs, *self._detect.inputs]
        self._detect.detect_after(self._batch.view.open(self.show_batch_image, None, image_outputs, **_WARNING))
        self._detect.detect_after(self._live.view.snapshot(self.show_frame, self._live.picker, image_outputs, **_WARNING))
        page.unload(self.leave)
        # Gradio repeats the links' text as their icons' alternative text; screen readers would say it twice.
        page.load(None, js="() => { document.querySelectorAll('footer img').forEach((image) => { image.alt = ''; }); }")

    def retention(self, page: gr.Blocks, keep_seconds: float, quota_bytes: int | None) -> Retention:
        """What deletes visitors' files and results, once the page is wired."""
        compare, videos, explain = self._compare, self._video.videos, self._detect.explain_mode
        stores: list[VisitorStore[Any]] = [
            self._detect.results,
            explain.recordings,
            explain.saliency,
            compare.comparisons,
            compare.results_files,
            self._batch.batches,
            videos,
            self._evaluate.evaluations,
        ]
        return Retention(
            Path(get_upload_folder()),
            keep_seconds,
            quota_bytes=quota_bytes,
            stores=stores,
            owners=[videos, self._evaluate.evaluations],
            essential=lambda: {file for block in page.blocks.values() for file in getattr(block, "keep_in_cache", ())},
        )

    def refresh(self, detect: str, compare: list[str], live: str, video: str, batch: str, evaluate: list[str]) -> tuple[Any, ...]:
        """Shows the models that there are now: users' models may have been added, changed or removed."""
        states, seconds = self._engine.model_states(), self._engine.run_seconds(first=True)
        return (
            picker_value(detect, states, seconds),
            slots_value(compare, states, seconds),
            live_picker_value(live, states, self._engine.run_seconds()),
            picker_value(video, states, seconds),
            picker_value(batch, states, seconds),
            slots_value(evaluate, states, seconds, fewest=0),
            self._video.model_message(video),
            table_value(states),
        )

    def open_link(self, request: gr.Request) -> tuple[Any, ...]:
        """Opens the tab that the address names, if it does, with what else it says; opening the Compare tab begins the comparison."""
        compare, evaluate = self._compare.open_link(request), self._evaluate.open_link(request)
        tab = request.query_params.get("tab")
        exists = any(isinstance(each, gr.Tab) and each.id == tab for each in self._tabs.children)
        return (gr.Tabs(selected=tab) if exists else gr.skip(), *(compare or (gr.skip(),) * 3), *(evaluate or (gr.skip(),) * 2))

    def show_batch_image(self, event: gr.EventData) -> tuple[Any, ...]:
        """Shows an image of the batch in the Detect tab, with everything that it offers."""
        found = self._batch.image_to_open(event._data)
        if found is None:
            gr.Warning("This image is no longer kept on the server. Add it again.")
            return (gr.skip(),) * 3
        return self._show_in_detect(*found)

    def show_frame(self, key: str, event: gr.EventData) -> tuple[Any, ...]:
        """Shows a frame of the camera in the Detect tab, with everything that it offers."""
        path = self._live.snapshot_path(event._data)
        if path is None:
            gr.Warning("The frame did not reach the server. Try again.")
            return (gr.skip(),) * 3
        return self._show_in_detect(path, key)

    def leave(self, request: gr.Request) -> None:
        """Cancels all jobs of a visitor who has gone."""
        cancel_all(self._engine, request)

    def _show_in_detect(self, path: Path, key: str) -> tuple[Any, ...]:
        states, seconds = self._engine.model_states(), self._engine.run_seconds(first=True)
        return gr.Tabs(selected="detect"), str(path), picker_value(key, states, seconds, choose=True)


def build_app(
    engine: Engine,
    *,
    keep: KeptImages | None = None,
    monitor: Monitor | None = None,
    settings: Settings | None = None,
) -> gr.Blocks:
    """Builds the page.

    Args:
        engine: Where detection runs.
        keep: Where visitors may keep images for links; None keeps none.
        monitor: What counts the page's use, made for the same engine; None counts nothing.
        settings: The settings; None reads them from the environment.

    Returns:
        The page; serve it with `app.launch(**launch_options(monitor, settings))`.

    Raises:
        SettingsError: If the environment has a setting without a usable value, or a package for a setting is missing.
    """
    settings = settings or read_settings()
    streams = LiveStreams(settings.max_live_visitors)
    page = _Page(monitor.engine if monitor else engine, keep, streams)
    with CheckedBlocks(title="Detection Explorer", analytics_enabled=False, delete_cache=_ONLY_AT_THE_END, fill_width=True) as app:
        page.layout()
        page.wire(app)
        app.queue(max_size=settings.max_queue)
        # Offline, nothing is fetched.
        fetcher = ImageFetcher() if settings.allow_urls and not settings.offline else None
        app.http_api = build_http_api(page.service, fetcher)
        app.mcp_tools = McpServer(page.service, fetcher) if settings.mcp else None
    retention = page.retention(app, settings.keep_uploads_seconds, settings.temp_quota_bytes)
    app.extra_startup_events.append(retention.start)
    if monitor is not None:
        monitor.metrics.add_gauge("live_streams", "Live streams that are served", streams.served)
        monitor.metrics.add_gauge("live_streams_waiting", "Live streams in the queue", lambda: len(streams) - streams.served())
        monitor.metrics.add_gauge("visitor_files_bytes", "Bytes of visitors' files at the latest cleaning", lambda: retention.bytes)
    return app


def launch_options(monitor: Monitor | None = None, settings: Settings | None = None) -> dict[str, Any]:
    """The arguments of `launch()` for this page, apart from the address.

    Args:
        monitor: What watches the server; it adds `/healthz`, `/readyz` and `/metrics`.
        settings: The settings; None reads them from the environment.

    Raises:
        SettingsError: If the environment has a setting without a usable value.
    """
    settings = settings or read_settings()
    largest = max(image_limit(), VideoLimits.from_environment().max_bytes)
    sites = {"allowed_origins": settings.allowed_origins, "frame_ancestors": settings.frame_ancestors}
    guards = middleware(monitor, largest, auth=settings.auth, **sites)
    return {
        "theme": theme(),
        "css": CSS,
        # The language, and what the tab needs that the page opens with.
        "head": language_head() + preloading_head("detect/view.js", "components/model_picker.js", "components/example_strip.js"),
        "footer_links": ["api", "settings"] if settings.show_links else [],
        "run_history": False,
        "show_error": False,
        # Gradio's own, which an environment variable would start, calls the page without a password and for all visitors as one.
        "mcp_server": False,
        "max_file_size": largest,
        "state_session_capacity": _SESSIONS,
        "app_kwargs": {
            "middleware": guards,
            "lifespan": without_gradios_cors,
            "routes": [MODULES.route(), http_api_route(), *([mcp_route()] if settings.mcp else []), *(monitor.routes() if monitor else [])],
            "exception_handlers": {OSError: answer_full_disk, **EXCEPTION_HANDLERS},
        },
    }
