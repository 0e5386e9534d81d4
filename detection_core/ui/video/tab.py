"""The Video tab: a video and a model in, an annotated video, counts over time and files out."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import FileData

from detection_core.engine import Engine
from detection_core.errors import UserError
from detection_core.models.catalog import UnknownModelError, get_model_spec
from detection_core.ui.components.model_picker import ModelPicker, detect_label, picker_value
from detection_core.ui.shared.session import visitor_of
from detection_core.ui.shared.uploads import image_name
from detection_core.ui.video.download import save_video
from detection_core.ui.video.example import EXAMPLE_NAME, make_example_video
from detection_core.ui.video.frame_times import FrameTimes
from detection_core.ui.video.inspection import inspect_video, time_model, uploaded_video
from detection_core.ui.video.jobs import JobsFullError, VideoJobs
from detection_core.ui.video.messages import (
    VideoMessage,
    VideoOrder,
    VideoOutcome,
    VideoStart,
    video_classes,
    video_download,
    video_error,
    video_model,
)
from detection_core.ui.video.polling import named_video, watch_video
from detection_core.ui.video.view import VideoView
from detection_core.ui.video.work import Drawn, VideoExpiredError, VideoStore, VisitorVideo, draw_again, look
from detection_core.video.io import VideoError, VideoLimits

Answer = dict[str, Any]


@dataclass(frozen=True)
class VideoTab:
    """What the page needs of the tab.

    Attributes:
        picker: The model picker, to be refreshed.
        view: The video.
        model: Says what the view must know of the model of a key, to be refreshed with the picker.
    """

    picker: ModelPicker
    view: VideoView
    model: Callable[[str], VideoMessage]


def build_video_tab(page: gr.Blocks, engine: Engine) -> VideoTab:
    """Adds the tab's content to the page being built.

    Args:
        page: The page; what its visitors leave behind is let go of.
        engine: Where detection runs.

    Raises:
        SettingsError: If a limit in the environment is not a positive number.
    """
    limits = VideoLimits.from_environment()
    jobs, times = VideoJobs(), FrameTimes()

    async def inspect(sent: Any) -> Answer:
        return await inspect_video(sent, limits)

    async def pace(sent: Any) -> Answer:
        return await time_model(sent, engine, times, limits)

    async def watch(sent: Any) -> Answer:
        return await watch_video(sent, videos)

    async def stop(sent: Any) -> None:
        if (video := named_video(videos, sent)) is not None and video.job is not None:
            jobs.cancel(video.job)

    with gr.Row(equal_height=False, elem_classes="workbench"):
        with gr.Column(scale=0, min_width=320, elem_classes="inputs"):
            picker = ModelPicker(engine.model_states())
        with gr.Column(scale=1, min_width=320):
            view = VideoView(inspect, pace, watch, stop, limits=limits, value=_model_message(engine, picker.value["selected"]))
    folder = Path(view.GRADIO_CACHE)
    videos = VideoStore(folder, page.upload_file_set)
    # Not one that an earlier version has made.
    example_path = folder / f"example-{secrets.token_hex(8)}" / EXAMPLE_NAME

    def choose(key: str) -> tuple[dict[str, Any], VideoMessage]:
        """The picker, and what the view must know of the model."""
        return picker_value(key, engine.model_states()), _model_message(engine, key)

    def begin(key: str, event: gr.EventData, request: gr.Request) -> VideoMessage:
        """Puts the video into the line of those to be looked at; the visitor's earlier one goes."""
        order, visitor = VideoOrder.from_client(event._data), visitor_of(request, "video")
        try:
            spec = get_model_spec(key)
            upload = uploaded_video(order.path, limits)
            jobs.leave(visitor)
            engine.cancel_visitor(visitor)
            video = videos.begin(visitor, spec, upload, image_name(order.name, upload.path))
            video.job = jobs.submit(visitor, partial(look, video, order.options(spec), engine, times))
        except UnknownModelError:
            return video_error("This model is gone", "Its file has been removed. Put it back, or choose another model.")
        except VideoError as error:
            return video_error("This video cannot be used", str(error))
        except JobsFullError as error:
            return video_error("The server is busy", str(error))
        except OSError as error:
            return video_error("The video cannot be looked at", f"The server says: {error.strerror}.")
        return VideoMessage(start=VideoStart(turn=secrets.token_hex(8), video=video.token, kind="detect"))

    def redraw(event: gr.EventData, request: gr.Request) -> VideoMessage:
        """Has what was found drawn in another way."""
        order, visitor = VideoOrder.from_client(event._data), visitor_of(request, "video")
        try:
            video = videos.find(order.video)
            if video.drawn is None:
                raise VideoExpiredError
            # Other frames would have to be looked at.
            options = replace(order.options(video.spec), fps=video.drawn.options.fps)
            video.job = jobs.submit(visitor, partial(draw_again, video, options))
        except UserError as error:
            return video_error("The video cannot be drawn again", str(error))
        return VideoMessage(start=VideoStart(turn=secrets.token_hex(8), video=video.token, kind="draw"))

    def finish(key: str, event: gr.EventData) -> tuple[dict[str, Any], VideoMessage]:
        """Shows what came of the work; it may have downloaded the model."""
        video = named_video(videos, event._data)
        message = _model_message(engine, key)
        if video is not None and video.drawn is not None:
            view.temp_files.add(str(video.drawn.path))
            message.outcome, message.notes = _outcome(video, video.drawn), list(video.drawn.notes)
        return picker_value(key, engine.model_states()), message

    def example() -> VideoMessage:
        """Makes the video to try, or takes the one that was made."""
        try:
            example_path.parent.mkdir(parents=True, exist_ok=True)
            if not example_path.exists():
                make_example_video(example_path)
        except (VideoError, OSError):
            return video_error("The example cannot be made", "The server's disk may be full. Choose a video of your own.")
        view.temp_files.add(str(example_path))
        return VideoMessage(example=FileData(path=str(example_path)))

    def download(event: gr.EventData) -> VideoMessage:
        """Writes everything chosen into one file."""
        order = VideoOrder.from_client(event._data)
        try:
            path, name = save_video(videos.find(order.video), order.formats)
        except UserError as error:
            return video_error("The files cannot be written", str(error))
        except OSError as error:
            return video_error("The files cannot be written", f"The server says: {error.strerror}.")
        view.temp_files.add(str(path))
        return video_download(str(path), name)

    def leave(request: gr.Request) -> None:
        visitor = visitor_of(request, "video")
        jobs.leave(visitor)
        videos.leave(visitor)

    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    # A choice that follows quickly, of a precision say, must not be lost.
    picker.select(choose, picker, [picker, view], queue=False, trigger_mode="always_last", **quiet)
    view.begin(begin, picker, view, concurrency_limit=4, **quiet)
    view.redraw(redraw, None, view, queue=False, **quiet)
    view.settled(finish, picker, [picker, view], queue=False, **quiet)
    view.example(example, None, view, concurrency_limit=1, **quiet)
    view.download(download, None, view, concurrency_limit=2, **quiet)
    page.unload(leave)
    return VideoTab(picker, view, partial(_model_message, engine))


def _model_message(engine: Engine, key: str) -> VideoMessage:
    """What the view must know of a model; nothing, if there is none of that key any more."""
    try:
        spec = get_model_spec(key)
    except UnknownModelError:
        return VideoMessage()
    return video_model(spec, detect_label(key, engine.model_states()))


def _outcome(video: VisitorVideo, drawn: Drawn) -> VideoOutcome:
    return VideoOutcome(
        turn=secrets.token_hex(8),
        video=video.token,
        file=FileData(path=str(drawn.path)),
        model=video.spec.key,
        threshold=drawn.options.threshold,
        track=drawn.options.track,
        frames=len(drawn.counts.times),
        seconds=drawn.seconds,
        complete=drawn.complete,
        times=[round(seconds, 3) for seconds in drawn.counts.times],
        classes=video_classes(drawn.counts, video.spec.categories),
    )
