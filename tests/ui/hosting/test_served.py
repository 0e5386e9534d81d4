"""One server as a public host runs it, over real HTTP: what it admits, reveals, counts, logs and forgets."""

from __future__ import annotations

import errno
import json
import logging
import re
import sys
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio.state_holder import SessionState
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from starlette.routing import Mount

from benchmarks.house import ROOT
from detection_core.engine import EngineError
from detection_core.models.catalog import ASSETS, COCO_MODEL
from detection_core.models.user_models import MODELS_DIR
from detection_core.settings import Settings
from detection_core.ui.app import build_app, launch_options
from detection_core.ui.hosting.logs import set_up_logs
from detection_core.ui.hosting.monitor import Monitor
from tests.ui.fake_engine import FakeEngine
from tests.ui.model_files import put_model

AUTH = ("visitor", "correct horse")
FRIEND = "https://friend.example"
# Long enough for an action on a busy machine.
KEEP_SECONDS = 4.0
IMAGE = ASSETS / "examples" / "chelsea.jpg"
# In the names of visitors' files, so that logs can be searched for it.
MARKER = "holiday-in-the-alps"


@pytest.fixture(scope="module")
def uploads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("uploads")


@pytest.fixture(scope="module")
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture(scope="module")
def app(engine: FakeEngine, uploads: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    models = tmp_path_factory.mktemp("models")
    put_model(models / f"{MARKER}.pt")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(uploads))
        patch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
        patch.setenv(MODELS_DIR, str(models))
        monitor = Monitor(engine)
        sites = {"allowed_origins": (FRIEND,), "frame_ancestors": ("https://school.example",)}
        settings = Settings(auth=(AUTH,), keep_uploads_seconds=KEEP_SECONDS, **sites)
        page = build_app(engine, monitor=monitor, settings=settings)
        options = launch_options(monitor, settings)
        page.launch(prevent_thread_lock=True, quiet=True, **options)
        yield page
        page.close(verbose=False)


@pytest.fixture(scope="module")
def web(app: Any) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=app.local_url, auth=AUTH, timeout=20) as client:
        yield client


@pytest.fixture(scope="module")
def client(app: Any, web: httpx.Client) -> Client:
    return Client(app.local_url, headers={"Authorization": httpx.BasicAuth(*AUTH)._auth_header}, verbose=False)


def samples(web: httpx.Client) -> dict[str, float]:
    """All samples of a scrape, with their labels as Prometheus writes them."""
    lines = [line for line in web.get("/metrics").text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def upload(web: httpx.Client, name: str, content: bytes) -> str:
    (path,) = web.post("/gradio_api/upload", files={"files": (name, content)}).raise_for_status().json()
    return str(path)


def routes_of(router: Any) -> set[tuple[str, str]]:
    """Method and path of every route that the server has, with something in place of each parameter."""
    found = set()
    for route in router.routes:
        if (included := getattr(route, "original_router", None)) is not None:
            found |= routes_of(included)
        else:
            path = re.sub(r"\{[^}]*\}", "x", route.path) + ("/x" if isinstance(route, Mount) else "")
            found |= {(method, path or "/") for method in getattr(route, "methods", None) or ("GET",)}
    return found


def test_every_route_asks_for_the_password_but_the_sign_of_life(app: Any):
    routes = routes_of(app.app)
    assert len(routes) > 50
    assert {("GET", path) for path in ("/", "/readyz", "/metrics", "/config", "/gradio_api/queue/data")} <= routes
    with httpx.Client(base_url=app.local_url) as stranger:
        answers = {(method, path): stranger.request(method, path).status_code for method, path in routes}
        # Whatever is added later, and what there is not.
        answers |= {("GET", path): stranger.get(path).status_code for path in ("/api/v1/detect", "/nowhere", "/healthz/", "//healthz")}
    opened = {route for route, status in answers.items() if status != 401}
    assert opened == {("GET", "/healthz"), ("HEAD", "/healthz"), ("GET", "/gradio_api/startup-events")}


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic",
        "Basic ???",
        "Basic dmlzaXRvcjo=",
        "Bearer correct",
        f"Basic {'A' * 9000}",
        httpx.BasicAuth("visitor", "wrong")._auth_header,
    ],
)
def test_wrong_credentials_are_refused(app: Any, header: str):
    answer = httpx.get(app.local_url, headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")


def test_the_page_and_a_file_have_the_security_headers(web: httpx.Client):
    for path in ("/", f"/gradio_api/file={upload(web, 'a.jpg', IMAGE.read_bytes())}", "/nowhere", "/healthz"):
        headers = web.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff", path
        assert "camera=(self)" in headers["Permissions-Policy"]
        policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
        assert policy["frame-ancestors"] == "'self' https://school.example"
        assert not re.search(r"https?:|\*", headers["Content-Security-Policy"].replace("https://school.example", ""))


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "https://evil.example", "X-Forwarded-Host": "evil.example"}, 403),
        # A proxy may hide the name by which browsers know the server.
        ({"Origin": "https://public.example", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": FRIEND, "Sec-Fetch-Site": "cross-site"}, 200),
    ],
)
def test_scripts_of_other_sites_are_refused(web: httpx.Client, headers: dict[str, str], status: int):
    for host in ({}, {"Host": "public.example"}):
        if host and headers.get("Origin") == "https://public.example":
            continue
        answer = web.get("/config", headers=headers | host)
        assert answer.status_code == status
        if status == 403:
            assert "components" not in answer.text
    if headers.get("Origin") == FRIEND:
        assert web.get("/config", headers=headers).headers["Access-Control-Allow-Origin"] == FRIEND


@pytest.mark.parametrize("path", ["/", "/api/v1/detect", "/gradio_api/upload", "/metrics", "/nowhere"])
def test_allowed_sites_may_ask_without_credentials_before_they_send_any(app: Any, path: str):
    """A browser's preflight has no credentials; the request after it has, or is refused so that the page can read why."""
    asked = {"Origin": FRIEND, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    with httpx.Client(base_url=app.local_url) as stranger:
        answer = stranger.options(path, headers=asked)
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer.headers["Access-Control-Allow-Origin"] == FRIEND
        assert "POST" in answer.headers["Access-Control-Allow-Methods"]
        assert answer.headers["Access-Control-Allow-Headers"] == "authorization,content-type"
        # The method alone makes no preflight, nor do its headers with another method.
        for refused in (stranger.options(path, headers={"Origin": FRIEND}), stranger.post(path, headers=asked)):
            assert (refused.status_code, refused.headers["Access-Control-Allow-Origin"]) == (401, FRIEND)
            assert refused.headers["Access-Control-Allow-Credentials"] == "true"
        for origin in ("https://evil.example", "null", f"{FRIEND}.evil.example", FRIEND.replace("https", "http")):
            # By the names, too, under which others know the server.
            for host in ({}, {"Host": "public.example"}):
                refused = stranger.options(path, headers=asked | {"Origin": origin} | host)
                assert refused.status_code == 403
                assert not [name for name in refused.headers if name.startswith("access-control-")]
        # Without an origin it is a request like all others.
        assert stranger.options(path, headers={"Access-Control-Request-Method": "POST"}).status_code == 401


def test_scripts_of_allowed_sites_can_use_the_api_with_a_password(web: httpx.Client):
    answer = web.post("/api/v1/detect?format=coco", headers={"Origin": FRIEND}, files={"image": IMAGE.read_bytes()})
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == FRIEND
    assert "Detection-Provenance" in answer.headers["Access-Control-Expose-Headers"]
    assert answer.headers["Detection-Provenance"]


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file=http://127.0.0.1:9/a",
        "/gradio_api/file=https%3A//example.org/a",
        "/gradio_api/file/http://127.0.0.1:9/a",
        "/gradio_api/proxy=https://huggingface.co/a",
        "/gradio_api/deep_link?session_hash=a",
        "/gradio_api/run-history/buckets",
        "/monitoring/summary",
    ],
)
def test_addresses_that_the_page_does_not_use_are_closed(web: httpx.Client, path: str):
    answer = web.get(path)
    assert (answer.status_code, answer.text) == (404, "There is nothing at this address.")


@pytest.mark.parametrize("name", ["a.html", "a.svg", "a.js", "a.xml"])
def test_uploads_never_run_as_part_of_the_page(web: httpx.Client, name: str):
    path = upload(web, name, b'<svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>')
    answer = web.get(f"/gradio_api/file={path}")
    assert answer.headers["Content-Disposition"].startswith("attachment")


def test_a_full_disk_is_said_and_the_next_upload_succeeds(web: httpx.Client, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("gradio.route_utils.NamedTemporaryFile", refuse)
        answer = web.post("/gradio_api/upload", files={"files": ("a.jpg", b"content")})
    assert (answer.status_code, "disk is full" in answer.text) == (507, True)
    assert upload(web, "a.jpg", b"content")


def test_health(app: Any, web: httpx.Client):
    assert httpx.get(f"{app.local_url}healthz").text == "alive\n"
    assert web.get("/readyz").text == "ready\n"


def test_actions_are_counted_and_logged_without_names(
    client: Client, web: httpx.Client, engine: FakeEngine, uploads: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    image = tmp_path / f"{MARKER}.jpg"
    image.write_bytes(IMAGE.read_bytes())
    text = tmp_path / f"{MARKER}.png"
    text.write_text("no image")
    before = samples(web)
    root, levels = logging.getLogger(), [(logging.getLogger(name), logging.getLogger(name).level) for name in ("", "detection_core")]
    handlers, stderr = root.handlers[:], sys.stderr
    set_up_logs("json")
    try:
        client.predict(handle_file(image), COCO_MODEL, 0.5, api_name="/detect")
        client.predict(handle_file(image), MARKER, 0.5, api_name="/detect")
        for failure in (EngineError("It failed."), ValueError(f"cannot read {uploads}/0a1b/{MARKER}.jpg")):
            engine.failures.append(failure)
            with pytest.raises(AppError):
                client.predict(handle_file(image), COCO_MODEL, 0.5, api_name="/detect")
        with pytest.raises(AppError):
            client.predict(handle_file(text), COCO_MODEL, 0.5, api_name="/detect")
        # Of a file that cannot be read, Gradio itself would write a trace.
        web.get(f"/gradio_api/file={upload(web, f'{MARKER}.txt', b'a')}x")
    finally:
        root.handlers, sys.stderr = handlers, stderr
        for logger, level in levels:
            logger.setLevel(level)
    after = samples(web)
    counted = {name: after[name] - before.get(name, 0) for name in after if name.startswith("detection_explorer_actions_total")}
    common = f'action="api",model="{COCO_MODEL}"'
    assert {name: count for name, count in counted.items() if count} == {
        f'detection_explorer_actions_total{{{common},status="ok"}}': 1,
        'detection_explorer_actions_total{action="api",model="own",status="ok"}': 1,
        f'detection_explorer_actions_total{{{common},status="error"}}': 2,
    }
    assert after['detection_explorer_errors_total{kind="EngineError"}'] == 1
    assert after['detection_explorer_errors_total{kind="Unexpected"}'] == 1
    assert after[f"detection_explorer_action_seconds_count{{{common}}}"] >= 1
    assert MARKER not in "".join(after)
    written = capfd.readouterr()
    lines = [json.loads(line) for line in written.err.splitlines() if line.startswith("{")]
    actions = [line for line in lines if line["message"] == "action"]
    assert [(line["action"], line["status"], line.get("kind")) for line in actions] == [
        ("api", "ok", None),
        ("api", "ok", None),
        ("api", "error", "EngineError"),
        ("api", "error", "Unexpected"),
    ]
    requests = [line for line in lines if line["message"] == "request"]
    assert {"upload", "queue"} <= {line["kind"] for line in requests}
    assert all(re.fullmatch("[0-9a-f]{16}", line["request_id"]) for line in (*actions, *requests))
    assert "cannot read <upload>" in written.err
    assert MARKER not in written.err + written.out
    assert "127.0.0.1" not in "".join(map(json.dumps, lines))


def test_every_metric_of_the_dashboard_exists(web: httpx.Client, client: Client):
    """Also those that have labels and no values yet: those of counters are there once something is counted."""
    client.predict(handle_file(IMAGE), COCO_MODEL, 0.5, api_name="/detect")
    dashboard = json.loads((ROOT / "deploy" / "grafana.json").read_text("utf-8"))
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    asked = {name for query in queries for name in re.findall(r"\b(?:detection_explorer|process)_\w+", query)}
    described = set(re.findall(r"^# TYPE (\S+)", web.get("/metrics").text, re.MULTILINE))
    known = described | {name + suffix for name in described for suffix in ("_bucket", "_count", "_sum")}
    assert len(asked) >= 12
    assert asked <= known
    assert {name for name in described if name.startswith("detection_explorer") and not name.endswith("_created")} <= {
        re.sub("_(bucket|count|sum)$", "", name) for name in asked
    } | asked


def test_states_of_pages_take_a_bounded_amount_of_memory(app: Any):
    holder, count = app.app.state_holder, 10
    SessionState(app)
    tracemalloc.start()
    try:
        states = [SessionState(app) for _ in range(count)]
        each = tracemalloc.get_traced_memory()[0] / len(states)
    finally:
        tracemalloc.stop()
    assert each * holder.capacity < 300e6


def test_guessed_tokens_give_nothing(app: Any, web: httpx.Client):
    """All functions that browsers call beside the queue, with names and files that another visitor might have."""
    secret = upload(web, "theirs.jpg", IMAGE.read_bytes())
    guesses: list[Any] = [None, "", "a", "A" * 22, 3, ["a"], {"a": 1}, "../a", secret + "x", str(Path(secret).parent), "/etc/passwd"]
    called = 0
    for number, block in app.blocks.items():
        for function in getattr(block, "server_fns", ()):
            for guess in guesses:
                data = dict.fromkeys(("batch", "video", "stream", "path", "id", "images", "model"), guess)
                body = {"data": data, "component_id": number, "session_hash": "guess", "fn_name": function.__name__}
                answer = web.post("/gradio_api/component_server", json=body)
                called += 1
                assert answer.status_code == 200, (function.__name__, guess)
                refused = answer.json()
                assert refused is None or set(refused) <= {"expired", "error", "busy"}, (function.__name__, guess, refused)
    assert called >= 9 * len(guesses)


def test_programs_are_visitors_by_their_addresses(app: Any, web: httpx.Client, engine: FakeEngine):
    """Whatever sessions they claim: otherwise those with a new one for each call would come before all others."""
    image = {"path": upload(web, "a.jpg", IMAGE.read_bytes()), "meta": {"_type": "gradio.FileData"}}
    before = len(engine.submissions)
    for session in ({}, {}, {"session_hash": "mine"}):
        call = web.post("/gradio_api/call/detect", json={"data": [image, COCO_MODEL, 0.5], **session}).raise_for_status().json()
        assert "event: complete" in web.get(f"/gradio_api/call/detect/{call['event_id']}").text
    assert [each.job.visitor for each in engine.submissions[before:]] == ["127.0.0.1/api"] * 3


def test_a_visitor_has_nothing_of_another_ones(app: Any, web: httpx.Client, uploads: Path):
    """Two sessions that do the same at the same time get different tokens, and neither gets files by the other's session."""
    image = {"path": upload(web, "theirs.jpg", IMAGE.read_bytes()), "meta": {"_type": "gradio.FileData"}}
    endpoint = next(fn for fn in app.fns.values() if fn.name == "detect" and fn.api_name == "page")
    states = []
    for session in ("first", "second"):
        data = [image, COCO_MODEL] if len(endpoint.inputs) == 2 else [image]
        body = {"data": data, "fn_index": endpoint._id, "session_hash": session}
        web.post("/gradio_api/queue/join", json=body).raise_for_status()
        with web.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as events:
            for line in events.iter_lines():
                if '"process_completed"' in line:
                    states.append(json.loads(line.removeprefix("data: "))["output"])
                    break
    assert [list(state) for state in states]
    holder = app.app.state_holder
    kept = [value for session in ("first", "second") for value in holder[session].state_data.values() if isinstance(value, str) and value]
    assert len(set(kept)) == 2
    # A token stays on the server: the browser has a result, and not the name under which it is kept.
    assert not [token for token in kept if token in json.dumps(states)]


def test_guessed_names_give_nothing(web: httpx.Client, uploads: Path):
    secret = upload(web, "mine.jpg", IMAGE.read_bytes())
    folder = Path(secret).parent
    guesses = [
        folder,
        folder.parent,
        folder / "other.jpg",
        uploads / ("0" * 64) / "mine.jpg",
        folder / ".." / ".." / "mine.jpg",
        "/etc/passwd",
    ]
    assert web.get(f"/gradio_api/file={secret}").status_code == 200
    assert {web.get(f"/gradio_api/file={guess}").status_code for guess in guesses} <= {403, 404}


def test_uploads_and_results_are_deleted_after_their_time_also_those_that_nobody_used(
    app: Any, client: Client, web: httpx.Client, uploads: Path
):
    for name in ("a.jpg", "never begun.mp4"):
        upload(web, name, b"content of " + name.encode())
    client.predict(handle_file(IMAGE), COCO_MODEL, 0.1, api_name="/detect")
    own = {Path(file) for block in app.blocks.values() for file in getattr(block, "keep_in_cache", ())}

    def left() -> set[str]:
        return {path.name for path in uploads.rglob("*") if path.is_file()} - {path.name for path in own}

    # The images with the boxes drawn in are PNG files.
    assert {"a.jpg", "never begun.mp4"} < left()
    assert any(name.endswith(".png") for name in left())
    deadline = time.monotonic() + 20
    while left() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left()
    # The page's own are there for whoever comes next.
    assert len(own) >= 10
    assert all(path.is_file() for path in own)
