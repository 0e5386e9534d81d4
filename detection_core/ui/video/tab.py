"""The Video tab: a video and a model in, an annotated video, counts over time and files out."""

from __future__ import annotations

import secrets
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import FileData

from detection_core.engine import Engine
from detection_core.errors import UserError
from detection_core.models.catalog import UnknownModelError, get_model_spec
from detection_core.models.model_key import VariantError
from detection_core.ui.components.client_values import mapping_of
from detection_core.ui.components.model_picker import ModelPicker, detect_label, picker_value
from detection_core.ui.shared.events import QUIET, server_function
from detection_core.ui.shared.session import visitor_of
from detection_core.ui.shared.uploads import image_name
from detection_core.ui.video.download import save_video
from detection_core.ui.video.example import EXAMPLE_NAME, make_example_video
from detection_core.ui.video.frame_times import FrameTimes
from detection_core.ui.video.inspection import Response, inspect_video, time_model, uploaded_video
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
from detection_core.ui.video.polling import job_progress
from detection_core.ui.video.view import VideoView
from detection_core.ui.video.work import Drawn, VideoExpiredError, VideoStore, VisitorVideo, detect_objects, draw_again
from detection_core.video.io import VideoError, VideoLimits


class VideoTab:
    """The Video tab: `layout` makes its components, `wire` connects them with the other methods, which handle their events.

    Args:
        engine: Where detection runs.

    Attributes:
        picker: The model picker, for the page to refresh.
        view: The video, for the page to refresh with `model_message`.
        videos: Where videos are kept, once the page is wired.

    Raises:
        SettingsError: If a limit in the environment is not a positive number.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._limits = VideoLimits.from_environment()
        self._jobs = VideoJobs()
        self._frame_times = FrameTimes()

    def layout(self) -> None:
        """Adds the components to the page being built."""
        with gr.Row(equal_height=False, elem_classes="workbench"):
            with gr.Column(scale=0, min_width=320, elem_classes="inputs"):
                self.picker = ModelPicker(self._engine.model_states())
            with gr.Column(scale=1, min_width=320):
                functions = map(server_function, (self.inspect, self.pace, self.watch, self.stop))
                self.view = VideoView(*functions, limits=self._limits, value=self.model_message(self.picker.value["selected"]))

    def wire(self, page: gr.Blocks) -> None:
        """Connects the events.

        Args:
            page: The page; the videos of visitors who leave it are removed.
        """
        folder = Path(self.view.GRADIO_CACHE)
        self.videos = VideoStore(folder, page.upload_file_set)
        # Not one that an earlier version has made.
        self._example_path = folder / f"example-{secrets.token_hex(8)}" / EXAMPLE_NAME
        model = [self.picker, self.view]
        # A choice that comes quickly after another, of a precision say, must not be lost.
        self.picker.select(self.show_model, self.picker, model, queue=False, trigger_mode="always_last", **QUIET)
        self.view.begin(self.begin, self.picker, self.view, concurrency_limit=4, **QUIET)
        self.view.redraw(self.redraw, None, self.view, queue=False, **QUIET)
        self.view.finished(self.show_outcome, self.picker, model, queue=False, **QUIET)
        self.view.example(self.example, None, self.view, concurrency_limit=1, **QUIET)
        self.view.download(self.download, None, self.view, concurrency_limit=2, **QUIET)
        page.unload(self.leave)

    async def inspect(self, sent: Any) -> Response:
        """Server function: reads an uploaded video's header and first frame."""
        return await inspect_video(sent, self._limits)

    async def pace(self, sent: Any) -> Response:
        """Server function: how long a model takes for a frame."""
        return await time_model(sent, self._engine, self._frame_times, self._limits)

    async def watch(self, sent: Any) -> Response:
        """Server function: the progress of a video's job."""
        return await job_progress(sent, self.videos)

    async def stop(self, sent: Any) -> None:
        """Server function: cancels a video's job."""
        video = self.videos.get(mapping_of(sent).get("video"))
        if video is not None and video.job is not None:
            self._jobs.cancel(video.job)

    def show_model(self, key: str) -> tuple[dict[str, Any], VideoMessage]:
        """The picker, and the message to the view about the model."""
        return picker_value(key, self._engine.model_states(), self._engine.run_seconds(first=True)), self.model_message(key)

    def begin(self, key: str, event: gr.EventData, request: gr.Request) -> VideoMessage:
        """Queues detection in a video; the visitor's earlier video is removed."""
        order, visitor = VideoOrder.from_client(event._data), visitor_of(request, "video")
        try:
            spec = get_model_spec(key)
            upload = uploaded_video(order.path, self._limits)
            self._jobs.leave(visitor)
            self._engine.cancel_visitor(visitor)
            video = self.videos.begin(visitor, spec, upload, image_name(order.name, upload.path))
            detect = partial(detect_objects, video, order.options(spec), self._engine, self._frame_times)
            video.job = self._jobs.submit(visitor, detect)
        except UnknownModelError:
            return video_error(
                f"There is no model “{key}” here", "Its file was removed, or is on another server. Put it here, or choose another model."
            )
        except VariantError as error:
            return video_error("The model does not run like this", str(error))
        except VideoError as error:
            return video_error("This video cannot be used", str(error))
        except JobsFullError as error:
            return video_error("The server is busy", str(error))
        except OSError as error:
            return video_error("The video cannot be processed", f"The server reports: {error.strerror}.")
        return VideoMessage(start=VideoStart(turn=secrets.token_hex(8), video=video.token, kind="detect"))

    def redraw(self, event: gr.EventData, request: gr.Request) -> VideoMessage:
        """Queues drawing a video's detections with other options."""
        order, visitor = VideoOrder.from_client(event._data), visitor_of(request, "video")
        try:
            video = self.videos.find(order.video)
            if video.drawn is None:
                raise VideoExpiredError
            # At another rate, there would be frames without detections.
            options = replace(order.options(video.spec), fps=video.drawn.options.fps)
            video.job = self._jobs.submit(visitor, partial(draw_again, video, options))
        except UserError as error:
            return video_error("The video cannot be drawn again", str(error))
        return VideoMessage(start=VideoStart(turn=secrets.token_hex(8), video=video.token, kind="draw"))

    def show_outcome(self, key: str, event: gr.EventData) -> tuple[dict[str, Any], VideoMessage]:
        """Shows the outcome of a job, which may have downloaded the model."""
        video = self.videos.get(mapping_of(event._data).get("video"))
        picker, message = self.show_model(key)
        if video is not None and video.drawn is not None:
            self.view.temp_files.add(str(video.drawn.path))
            message.outcome, message.notes = _outcome(video, video.drawn), list(video.drawn.notes)
        return picker, message

    def example(self) -> VideoMessage:
        """The example video, which is made at the first request."""
        path = self._example_path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                make_example_video(path)
        except (VideoError, OSError):
            return video_error("The example cannot be made", "The server's disk may be full. Choose a video of your own.")
        self.view.temp_files.add(str(path))
        return VideoMessage(example=FileData(path=str(path)))

    def download(self, event: gr.EventData) -> VideoMessage:
        """Writes everything chosen into one file."""
        order = VideoOrder.from_client(event._data)
        try:
            path, name = save_video(self.videos.find(order.video), order.formats)
        except UserError as error:
            return video_error("The files cannot be written", str(error))
        except OSError as error:
            return video_error("The files cannot be written", f"The server reports: {error.strerror}.")
        self.view.temp_files.add(str(path))
        return video_download(str(path), name)

    def leave(self, request: gr.Request) -> None:
        """Cancels the job and removes the video of a visitor who has gone."""
        visitor = visitor_of(request, "video")
        self._jobs.leave(visitor)
        self.videos.leave(visitor)

    def model_message(self, key: str) -> VideoMessage:
        """The message to the view about a model; an empty one if the model does not exist."""
        try:
            spec = get_model_spec(key)
        except (UnknownModelError, VariantError):
            return VideoMessage()
        return video_model(spec, detect_label(key, self._engine.model_states()))


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
