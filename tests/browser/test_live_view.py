"""LiveView as a visitor meets it, in real Chromium with its fake camera."""

from __future__ import annotations

import asyncio
import base64
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import gradio as gr
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from detection_core.models.catalog import PERSON_MODEL, get_model_spec
from detection_core.ui.live.view import LiveMessage, LiveView, live_error, live_start
from detection_core.ui.theme import CSS, theme

pytestmark = pytest.mark.browser

SCRIPT_NAME = "<img src=x onerror='window.hacked=1'>"
ERROR_NAMES = {
    "NotAllowedError": "The camera is not allowed",
    "NotFoundError": "No camera was found",
    "NotReadableError": "The camera cannot be read",
    "OverconstrainedError": "The chosen camera is not there any more",
    "Whatever": "The camera cannot be used",
}


@dataclass
class FakeServer:
    """Answers every frame with the same objects, or as a test says.

    Attributes:
        objects: What is found; the boxes are in pixels of a frame of 640×480.
        total: What the tracker says of the whole stream.
        room: Whether a second frame may be sent early.
        network: What the model is said to take of the 50 ms that an answer takes; the rest is the way.
        answers: Answers that come first, one for each question.
        always: An answer instead of results.
        begun: What Python says when the visitor starts.
        is_open: Results wait for it.
        late: Ids of frames whose results take longer.
    """

    objects: list[dict[str, Any]] = field(default_factory=list)
    total: dict[str, int] = field(default_factory=dict)
    room: bool = False
    network: float = 50
    answers: list[Any] = field(default_factory=list)
    always: Any = None
    begun: Callable[[], LiveMessage] | None = None
    is_open: bool = True
    late: set[int] = field(default_factory=set)
    asked: list[dict[str, Any]] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0
    starts: int = 0

    async def frame(self, sent: dict[str, Any]) -> Any:
        self.asked.append(sent)
        answer = self.answers.pop(0) if self.answers else self.always
        if answer is not None:
            return answer() if callable(answer) else answer
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        await asyncio.sleep(0.05)
        while not self.is_open:
            await asyncio.sleep(0.01)
        if sent["id"] in self.late:
            await asyncio.sleep(0.3)
        self.in_flight -= 1
        return self.result(sent)

    def result(self, sent: dict[str, Any]) -> dict[str, Any]:
        if "image" not in sent:
            return {"dropped": True}
        ms = {"decode": 1, "wait": 0, "network": self.network, "post": 1, "track": 1}
        known = {name: sent[name] for name in ("id", "time", "threshold")}
        counts = {"in_view": {}, "total": self.total}
        return {"result": {**known, **counts, "objects": self.objects, "width": 640, "height": 480, "ms": ms, "room": self.room}}

    def start(self, model: str = "First", categories: tuple[str, ...] = ("person", "dog")) -> LiveMessage:
        self.starts += 1
        names = ("__background__", *categories)
        spec = replace(get_model_spec(PERSON_MODEL), key=model, title=model, categories=names, min_score=0.05, default_threshold=0.5)
        return live_start(f"turn-{self.starts}", f"stream-{self.starts}", spec)


def make_object(box: list[float], *, score: float = 0.9, track: int = 0, class_id: int = 1, velocity: tuple[float, float] = (0, 0)) -> Any:
    keypoints = [[box[0] + 4.0 * i, box[1] + 5.0 * i, 8.0] for i in range(17)]
    x1, y1, x2, y2 = box
    return {
        "track": track, "class_id": class_id, "score": score, "box": box, "velocity": list(velocity), "color": "#3f90da",
        "polygons": [[x1, y1, x2, y1, x2, y2]], "keypoints": keypoints,
    }  # fmt: skip


# The larger an object, the earlier it is drawn.
LEFT, RIGHT, LOW = [40.0, 100.0, 160.0, 300.0], [400.0, 100.0, 500.0, 300.0], [200.0, 320.0, 300.0, 460.0]


@pytest.fixture(scope="module")
def browser(camera_browser: Browser) -> Browser:
    """Replaces pytest-playwright's own: with a camera."""
    return camera_browser


@dataclass
class Served:
    """The app that is served, and who answers at the moment."""

    server: FakeServer
    url: str = ""


@pytest.fixture(scope="module")
def app(serve: Callable[..., str]) -> Served:
    served = Served(FakeServer())

    # Gradio takes plain functions, and names the browser's by theirs.
    async def frame(sent: Any) -> Any:
        return await served.server.frame(sent)

    async def end(sent: Any) -> None:
        served.server.ended.append(sent["stream"])

    def begin() -> LiveMessage:
        return served.server.begun() if served.server.begun else served.server.start()

    def look(event: gr.EventData) -> None:
        served.server.events.append(event._data["path"])

    with gr.Blocks() as blocks:
        with gr.Tabs():
            with gr.Tab("Live"):
                view = LiveView(frame, end, elem_id="live")
            with gr.Tab("Elsewhere"):
                gr.Textbox(label="Elsewhere")
        held = gr.Textbox(elem_id="held", label="Held")
        quiet: dict[str, Any] = {"show_progress": "hidden", "queue": False}
        view.begin(begin, None, view, **quiet)
        view.finished(lambda: served.server.events.append("finished"), None, None, **quiet)
        view.snapshot(look, None, None, **quiet)
        gr.Button("other model", elem_id="other").click(lambda: served.server.start("Other"), None, view, **quiet)
        gr.Button("ask", elem_id="ask").click(lambda stream: f"stream: {stream}", view, held, **quiet)
    served.url = serve(blocks, theme=theme(), css=CSS)
    return served


@pytest.fixture
def server(app: Served) -> Iterator[FakeServer]:
    app.server = FakeServer(
        [make_object(LEFT, track=1, score=0.9), make_object(RIGHT, track=2, score=0.6), make_object(LOW, class_id=2, score=0.4)],
        {"person": 4},
    )
    yield app.server
    app.server.is_open = True


@pytest.fixture
def view(page: Page, app: Served, server: FakeServer) -> Locator:
    # The browser has to draw thirty images a second, without a graphics card.
    page.set_viewport_size({"width": 640, "height": 640})
    page.goto(app.url)
    view = page.locator("#live .dv")
    expect(start_button(view)).to_be_visible()
    return view


def start_button(view: Locator) -> Locator:
    return view.get_by_role("button", name="Start the camera")


def start(view: Locator) -> None:
    start_button(view).click()
    expect(view.locator(".lv-count")).to_have_text("2 in view · 4 in total", timeout=15000)


def boxes(view: Locator) -> Locator:
    return view.locator(".dv-layer-boxes .dv-object:not([hidden])")


def labels(view: Locator) -> Locator:
    return view.locator(".dv-label:not([hidden])")


def set_slider(slider: Locator, value: float) -> None:
    """As dragging does, without caring for pixels."""
    slider.evaluate("(input, value) => { input.value = value; input.dispatchEvent(new Event('input')); }", value)


def wait_for(page: Page, condition: Callable[[], object], why: str) -> None:
    for _ in range(400):
        if condition():
            return
        page.wait_for_timeout(25)
    pytest.fail(why)


def stats(view: Locator) -> dict[str, Any]:
    found: dict[str, Any] = view.evaluate("node => { while (!node.liveStats) node = node.parentElement; return node.liveStats; }")
    return found


def test_frames_go_to_the_server_and_objects_appear_over_the_camera(page: Page, view: Locator, server: FakeServer) -> None:
    expect(view.get_by_text("Frames are processed and discarded: nothing is stored.").first).to_be_visible()
    assert server.asked == []
    start(view)
    wait_for(page, lambda: len(server.asked) > 4, "no more frames were sent")
    images = [Image.open(io.BytesIO(base64.b64decode(sent["image"]))) for sent in server.asked]
    # As large as the model makes them itself.
    assert {(image.format, image.size) for image in images} == {("JPEG", (427, 320))}
    assert len({sent["image"] for sent in server.asked}) > 1
    for name in ("id", "time"):
        values = [sent[name] for sent in server.asked]
        assert values == sorted(set(values))
    assert {(sent["stream"], sent["threshold"], sent["stable"]) for sent in server.asked} == {("stream-1", 0.5, True)}
    assert {tuple(sent["tasks"]) for sent in server.asked} == {("masks", "keypoints")}
    expect(labels(view)).to_have_text(["person #1 0.90", "person #2 0.60"])
    expect(view.locator("tbody tr")).to_have_text(["person24"])
    expect(view.get_by_role("status")).to_have_text("2 persons")
    meter = view.locator(".lv-meter dd")
    expect(meter.first).not_to_have_text("–")
    assert 0 < stats(view)["answers"] <= stats(view)["sent"]
    assert min(stats(view)["latencies"]) >= 50
    page.click("#ask")
    expect(page.locator("#held textarea")).to_have_value("stream: stream-1")


@pytest.mark.slow
def test_objects_move_on_between_answers_but_not_for_long(page: Page, view: Locator, server: FakeServer) -> None:
    server.objects = [make_object(LEFT, track=1, velocity=(200, -100)), make_object(RIGHT, track=2)]
    start(view)
    server.is_open = False
    moved = boxes(view).first
    # 0.4 s of 200 and -100 pixels a second.
    expect(moved).to_have_attribute("transform", "translate(80 -40)")
    for layer in ("masks", "contours", "skeletons"):
        expect(view.locator(f".dv-layer-{layer} .dv-object").first).to_have_attribute("transform", "translate(80 -40)")
    expect(boxes(view).nth(1)).not_to_have_attribute("transform", "translate(80 -40)")
    # In a mirror, what goes to the right goes to the left.
    scale = view.locator(".lv-frame").bounding_box()["width"] / 640
    dx, dy = labels(view).first.evaluate("node => node.style.translate.split(' ').map(parseFloat)")
    assert (dx, dy) == pytest.approx((-80 * scale, -40 * scale), abs=0.2)


@pytest.mark.slow
def test_the_mirror_turns_the_image_but_not_the_labels(page: Page, view: Locator, server: FakeServer) -> None:
    server.objects = [make_object(LEFT, track=1), make_object(RIGHT, track=2)]
    start(view)
    mirror = view.get_by_role("button", name="Mirror")
    expect(mirror).to_have_attribute("aria-pressed", "true")
    assert left_edges(view) == pytest.approx([640 - 160, 640 - 160, 640 - 500, 640 - 500], abs=4)
    mirror.click()
    expect(mirror).to_have_attribute("aria-pressed", "false")
    wait_for(page, lambda: left_edges(view) == pytest.approx([40, 40, 400, 400], abs=4), "labels or boxes did not follow")


def left_edges(view: Locator) -> list[float]:
    """Left edges of boxes and labels, each box before its label, in pixels of the frame that was sent."""
    found: list[float] = view.evaluate("""view => {
        const frame = view.querySelector('.lv-frame').getBoundingClientRect();
        const left = (node) => (node.getBoundingClientRect().left - frame.left) / frame.width * 640;
        const boxes = [...view.querySelectorAll('.dv-layer-boxes .dv-object:not([hidden]) .dv-line')];
        const labels = [...view.querySelectorAll('.dv-label:not([hidden])')];
        return boxes.flatMap((box, i) => [left(box), left(labels[i])]);
    }""")
    return found


def test_threshold_and_layers_act_without_an_answer(page: Page, view: Locator, server: FakeServer) -> None:
    server.objects[2]["track"] = 0
    start(view)
    server.is_open = False
    wait_for(page, lambda: server.in_flight == 1, "nothing waits")
    answers = -1
    # The answer before may still be on its way.
    while answers != (answers := stats(view)["answers"]):
        page.wait_for_timeout(300)
    slider = view.get_by_label("Threshold")
    set_slider(slider, 0.7)
    expect(boxes(view)).to_have_count(1)
    expect(view.locator(".lv-count")).to_have_text("1 in view · 4 in total")
    set_slider(slider, 0.3)
    expect(labels(view)).to_have_text(["person #1 0.90", "person #2 0.60", "dog 0.40"])
    view.get_by_role("button", name="Boxes").click()
    expect(boxes(view).first).to_be_hidden()
    view.get_by_role("button", name="Labels").click()
    expect(labels(view)).to_have_count(0)
    view.get_by_role("button", name="Default 0.50").click()
    expect(slider).to_have_value("0.5")
    assert stats(view)["answers"] == answers
    set_slider(slider, 0.65)
    view.get_by_label("Stable boxes").uncheck()
    view.get_by_role("button", name="Skeletons").click()
    server.is_open = True
    wait_for(page, lambda: (server.asked[-1]["threshold"], server.asked[-1]["stable"]) == (0.65, False), "the settings were not sent")
    assert server.asked[-1]["tasks"] == ["masks"]
    expect(view.locator(".lv-count")).to_have_text("1 in view")


@pytest.mark.slow
def test_what_the_tracker_follows_stays_although_its_score_falls(view: Locator, server: FakeServer) -> None:
    server.objects = [make_object(LEFT, track=1, score=0.3), make_object(RIGHT, track=2), make_object(LOW, score=0.8)]
    start(view)
    # The third is strong, but the tracker has not taken it up.
    expect(labels(view)).to_have_text(["person #1 0.30", "person #2 0.90"])


@pytest.mark.slow
def test_stopping_releases_camera_and_stream(page: Page, view: Locator, server: FakeServer) -> None:
    start(view)
    view.get_by_role("button", name="Stop").click()
    expect(start_button(view)).to_be_visible()
    assert view.locator("video").evaluate("video => video.srcObject") is None
    expect(boxes(view)).to_have_count(0)
    wait_for(page, lambda: server.ended == ["stream-1"] and server.events == ["finished"], "the server was not informed")
    sent = len(server.asked)
    page.wait_for_timeout(200)
    assert len(server.asked) == sent
    page.click("#ask")
    expect(page.locator("#held textarea")).to_have_value("stream: ")
    start(view)
    assert server.asked[-1]["stream"] == "stream-2"


def test_the_camera_stops_when_the_view_is_out_of_sight(page: Page, view: Locator, server: FakeServer) -> None:
    start(view)
    set_slider(view.get_by_label("Threshold"), 0.7)
    page.get_by_role("tab", name="Elsewhere").click()
    wait_for(page, lambda: server.ended == ["stream-1"], "another tab did not end the stream")
    page.get_by_role("tab", name="Live").click()
    expect(start_button(view)).to_be_visible()
    start(view)
    # What the visitor has chosen is still so.
    expect(view.get_by_label("Threshold")).to_have_value("0.7")
    assert server.asked[-1]["threshold"] == 0.7
    page.evaluate("Object.defineProperty(document, 'hidden', { value: true }); document.dispatchEvent(new Event('visibilitychange'))")
    expect(view.get_by_text("Stopped, because this page was hidden")).to_be_visible()
    wait_for(page, lambda: server.ended == ["stream-1", "stream-2"], "a hidden page did not end the stream")


def test_why_it_does_not_start_is_reported(page: Page, view: Locator, server: FakeServer) -> None:
    server.begun = lambda: live_error("This model is not here", "Download it first.")
    start_button(view).click()
    expect(view.get_by_role("alert")).to_contain_text("Download it first.")
    expect(start_button(view)).to_be_visible()
    assert view.locator("video").evaluate("video => video.srcObject") is None
    for name, title in ERROR_NAMES.items():
        page.evaluate(
            "name => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('No', name)); }",
            name,
        )
        start_button(view).click()
        expect(view.get_by_role("alert")).to_contain_text(title)
    page.evaluate("Object.defineProperty(navigator, 'mediaDevices', { value: undefined })")
    start_button(view).click()
    expect(view.get_by_role("alert")).to_contain_text("This browser gives pages no access to cameras")
    # Without a camera the server is not asked for anything.
    assert server.asked == []


@pytest.mark.slow
def test_waiting_is_shown_and_the_same_frame_requested_again(page: Page, view: Locator, server: FakeServer) -> None:
    status = {"status": {"stage": "download", "text": "Downloading the weights", "done": 30, "total": 120}}
    server.is_open = False
    server.answers = [status, status]
    start_button(view).click()
    expect(view.locator(".dv-status")).to_contain_text("Downloading the weights")
    expect(view.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "25")
    wait_for(page, lambda: len(server.asked) == 3, "the frame was not asked for again")
    first, *others = server.asked
    assert others == [{"stream": first["stream"], "id": first["id"]}] * 2
    server.answers = [{"busy": "The server is busy: you are number 2 in line."}]
    server.is_open = True
    expect(view.locator(".dv-status")).to_contain_text("you are number 2 in line.")
    assert stats(view)["dropped"] == 1
    expect(view.locator(".lv-count")).to_have_text("2 in view · 4 in total")
    expect(view.locator(".dv-status")).to_be_hidden()


ENDS: dict[str, Any] = {
    f"It failed {SCRIPT_NAME}": {"error": {"title": "It failed", "text": SCRIPT_NAME}},
    "The server refused the camera's image It is no JPEG.": {"refused": "It is no JPEG."},
    "The stream has ended Another page took over.": {"expired": "Another page took over."},
    "The server does not answer Is the connection still there? Press Start to try again.": lambda: 1 / 0,
}


@pytest.mark.parametrize(
    "texts",
    [pytest.param(list(ENDS)[:2], id="briefly"), pytest.param(list(ENDS)[2:], id="in other ways", marks=pytest.mark.slow)],
)
def test_what_ends_a_stream_is_reported(page: Page, view: Locator, server: FakeServer, texts: list[str]) -> None:
    for text in texts:
        server.always = None
        start(view)
        expect(view.get_by_role("alert")).to_be_hidden()
        server.always = ENDS[text]
        expect(view.get_by_role("alert")).to_have_text(text, timeout=15000)
        expect(start_button(view)).to_be_visible()
        assert view.locator("video").evaluate("video => video.srcObject") is None
    assert page.evaluate("window.hacked") is None


@pytest.mark.slow
def test_two_frames_are_in_flight_only_where_there_is_room_for_them(page: Page, view: Locator, server: FakeServer) -> None:
    # However long the way may be on a busy machine, the model is said to take longer.
    server.network = 500
    start(view)
    wait_for(page, lambda: len(server.asked) > 5, "no more frames were sent")
    assert server.most_in_flight == 1
    server.room = True
    page.wait_for_timeout(400)
    assert server.most_in_flight == 1, "the way is short"
    server.network = 10
    wait_for(page, lambda: server.most_in_flight == 2, "there was never a second frame in flight")
    server.is_open = False
    wait_for(page, lambda: server.in_flight == 2, "there was no second frame in flight")
    page.wait_for_timeout(200)
    assert server.most_in_flight == 2


@pytest.mark.slow
def test_an_answer_that_comes_too_late_is_not_shown(page: Page, view: Locator, server: FakeServer) -> None:
    server.room, server.network = True, 10
    start(view)
    wait_for(page, lambda: server.most_in_flight == 2, "there was never a second frame in flight")
    server.is_open = False
    wait_for(page, lambda: server.in_flight == 2, "there was no second frame in flight")
    # The older of the two, which may have been asked for again since.
    server.late = {min(sent["id"] for sent in server.asked[-2:])}
    server.objects = [make_object(LEFT, track=7)]
    # What is asked from now on cannot hide the mistake.
    server.always = {"dropped": True}
    server.is_open = True
    expect(labels(view)).to_have_text(["person #7 0.90"])
    server.objects = [make_object(LEFT, track=8)]
    wait_for(page, lambda: server.in_flight == 0, "the late answer did not come")
    page.wait_for_timeout(200)
    expect(labels(view)).to_have_text(["person #7 0.90"])


@pytest.mark.slow
def test_another_model_takes_over_while_it_runs(page: Page, view: Locator, server: FakeServer) -> None:
    start(view)
    set_slider(view.get_by_label("Threshold"), 0.7)
    page.click("#other")
    expect(view.locator(".lv-model")).to_have_text("Other")
    expect(view.get_by_label("Threshold")).to_have_value("0.5")
    wait_for(page, lambda: server.asked[-1]["stream"] == "stream-2", "the new stream has no frames")
    wait_for(page, lambda: server.ended == ["stream-1"], "the old stream was not ended")
    # A message that was not requested informs about the model and starts nothing.
    view.get_by_role("button", name="Stop").click()
    page.click("#other")
    wait_for(page, lambda: server.ended == ["stream-1", "stream-2", "stream-3"], "a stream that is not wanted was not ended")
    expect(start_button(view)).to_be_visible()


@pytest.mark.slow
def test_the_current_frame_can_be_opened_in_full(page: Page, view: Locator, server: FakeServer) -> None:
    start(view)
    view.get_by_role("button", name="Open this frame in Detect").click()
    wait_for(page, lambda: server.events and server.events[-1] != "finished", "no image came")
    with Image.open(server.events[-1]) as image:
        assert (image.format, image.size) == ("JPEG", (640, 480))
        # The image is no gray card.
        assert len(set(image.resize((8, 6)).get_flattened_data())) > 10


def test_names_are_text_never_markup(page: Page, view: Locator, server: FakeServer) -> None:
    server.begun = lambda: server.start(SCRIPT_NAME, (SCRIPT_NAME, "dog"))
    server.total = {SCRIPT_NAME: 4}
    start(view)
    expect(view.locator("tbody td").first).to_have_text(SCRIPT_NAME)
    expect(view.locator(".lv-model")).to_have_text(SCRIPT_NAME)
    assert page.evaluate("window.hacked") is None


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(page: Page, app: Served, server: FakeServer, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page.set_viewport_size({"width": 640, "height": 640})
    page.goto(f"{app.url}?__theme={scheme}")
    view = page.locator("#live .dv")
    expect(start_button(view)).to_be_visible()
    found = [axe.run(page, context="#live")]
    start(view)
    # Images that go on changing would keep it from its work.
    server.is_open = False
    found.append(axe.run(page, context="#live"))
    for answer in found:
        assert answer.violations_count == 0, answer.generate_report()


@pytest.mark.slow
def test_narrow_screens_do_not_scroll_sideways(page: Page, view: Locator) -> None:
    start(view)
    for width in (320, 390, 768):
        page.set_viewport_size({"width": width, "height": 640})
        expect(boxes(view).first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for part in (".dv-toolbar", ".lv-bar", ".lv-panel"):
            assert view.locator(part).evaluate("node => node.scrollWidth <= node.clientWidth"), (part, width)
