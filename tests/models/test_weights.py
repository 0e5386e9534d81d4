"""Weights files are found in the documented order and downloaded completely or not at all, and errors say what to do."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import io
import multiprocessing
import os
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch.hub
from torchvision.models import ResNet50_Weights

from detection_core.models import download, weights
from detection_core.models.catalog import PERSON_MODEL, ModelSpec, get_model_spec, list_models
from detection_core.models.loader import ModelLoader
from detection_core.models.weights import DownloadCancelled, WeightsError, available_models, fetch_backbone, fetch_weights, find_weights
from tests.download_host import DownloadHost

pytestmark = pytest.mark.usefixtures("home")

BYTES = bytes(range(256)) * 4000


def make_spec(content: bytes = BYTES, key: str = "ssdlite320_mobilenet_v3_large", **changes: object) -> ModelSpec:
    """A real model's spec whose weights file is `content`."""
    name = f"tiny-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    return dataclasses.replace(get_model_spec(key), file_name=name, url=f"https://nowhere.invalid/{name}", **changes)


@pytest.fixture
def host(monkeypatch):
    with DownloadHost() as server:
        monkeypatch.setenv(weights.MIRROR, server.url)
        yield server


def put(folder: Path, name: str, content: bytes = BYTES) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    return folder / name


def temporary_cache(home: Path) -> Path:
    return home / "tmp" / f"detection-explorer-{os.getuid()}"


class TestFind:
    def test_nothing_is_there(self):
        assert find_weights(make_spec()) is None

    def test_first_place_wins(self, home, cache, monkeypatch):
        spec = make_spec()
        monkeypatch.setenv(weights.WEIGHTS_DIR, os.pathsep.join([str(home / "a"), str(home / "b")]))
        for folder in (temporary_cache(home), cache, home / "b", home / "a"):
            placed = put(folder, spec.file_name)
            assert find_weights(spec) == placed

    def test_hub_dir_set_in_the_program(self, home, monkeypatch):
        monkeypatch.setattr(torch.hub, "_hub_dir", str(home / "mine"))
        spec = make_spec()
        assert find_weights(spec) is None
        placed = put(home / "mine" / "checkpoints", spec.file_name)
        assert find_weights(spec) == placed

    def test_embedded_model_is_in_the_assets(self, home):
        spec = get_model_spec(PERSON_MODEL)
        assert find_weights(spec) is None
        placed = put(home / "assets", spec.file_name)
        assert find_weights(spec) == placed

    def test_downloadable_models_are_not_searched_in_the_assets(self, home):
        spec = make_spec()
        put(home / "assets", spec.file_name)
        assert find_weights(spec) is None

    def test_a_folder_of_that_name_is_no_file(self, cache):
        spec = make_spec()
        (cache / spec.file_name).mkdir(parents=True)
        assert find_weights(spec) is None

    def test_a_folder_that_cannot_be_read_is_passed_over(self, cache, monkeypatch):
        monkeypatch.setenv(weights.WEIGHTS_DIR, "x" * 10_000)
        spec = make_spec()
        placed = put(cache, spec.file_name)
        assert find_weights(spec) == placed

    def test_temporary_cache_of_another_user_is_not_trusted(self, home, monkeypatch):
        spec = make_spec()
        somebody = os.getuid() + 1
        put(home / "tmp" / f"detection-explorer-{somebody}", spec.file_name)
        monkeypatch.setattr("os.getuid", lambda: somebody)
        assert find_weights(spec) is None

    def test_available_models_in_the_catalogs_order(self, home, cache):
        names = list_models()
        for key in (names[3], PERSON_MODEL):
            spec = get_model_spec(key)
            put(cache if spec.url else home / "assets", spec.file_name)
        assert available_models() == [PERSON_MODEL, names[3]]


class TestDownload:
    def test_into_torch_hubs_cache(self, host, cache):
        spec = make_spec()
        host.files[spec.file_name] = BYTES
        seen: list[tuple[int, int | None]] = []
        path = fetch_weights(spec, lambda done, total: seen.append((done, total)))
        assert path == cache / spec.file_name
        assert path.read_bytes() == BYTES
        assert seen[0] == (0, len(BYTES))
        assert seen[-1] == (len(BYTES), len(BYTES))
        assert seen == sorted(seen)
        assert host.requests[0]["path"] == f"/models/{spec.file_name}"

    def test_leaves_no_unfinished_file(self, host, cache):
        spec = make_spec()
        host.files[spec.file_name] = BYTES
        fetch_weights(spec)
        assert {file.name for file in cache.iterdir()} - {spec.file_name, f"{spec.file_name}.lock"} == set()

    def test_only_once(self, host):
        spec = make_spec()
        host.files[spec.file_name] = BYTES
        assert fetch_weights(spec) == fetch_weights(spec)
        assert len(host.requests) == 1

    def test_server_that_sends_no_length(self, host):
        spec = make_spec()
        host.files[spec.file_name], host.send_length = BYTES, False
        totals = set()
        assert fetch_weights(spec, lambda done, total: totals.add(total)).read_bytes() == BYTES
        assert totals == {None}

    @pytest.mark.parametrize("length", ["many", "-5", "1e3"])
    def test_server_whose_length_is_no_number(self, host, length):
        spec = make_spec()
        host.files[spec.file_name], host.length = BYTES, length
        assert fetch_weights(spec).read_bytes() == BYTES

    def test_without_a_mirror_the_official_address_is_used(self, host, monkeypatch):
        monkeypatch.delenv(weights.MIRROR)
        spec = make_spec()
        host.files["elsewhere.pth"] = BYTES
        spec = dataclasses.replace(spec, url=f"{host.url}/elsewhere.pth")
        assert fetch_weights(spec).read_bytes() == BYTES

    @pytest.mark.parametrize(
        ("cuts", "ranges"),
        [
            pytest.param([300_000], [None, "bytes=300000-"], id="once"),
            pytest.param([1, 2, 3, 4, 5, 6], [None, *(f"bytes={n}-" for n in range(1, 7))], id="often, but always a bit further"),
            pytest.param([0, 0, 0], [None] * 4, id="three times without a byte"),
        ],
    )
    def test_goes_on_where_it_broke_off(self, host, cuts, ranges):
        spec = make_spec()
        host.files[spec.file_name], host.break_after = BYTES, list(cuts)
        assert fetch_weights(spec).read_bytes() == BYTES
        assert host.ranges == ranges

    def test_goes_on_in_a_later_process(self, host, cache):
        spec = make_spec()
        put(cache, f"{spec.file_name}.part", BYTES[:1000])
        host.files[spec.file_name] = BYTES
        seen = []
        assert fetch_weights(spec, lambda done, total: seen.append((done, total))).read_bytes() == BYTES
        assert host.ranges == ["bytes=1000-"]
        assert seen[0] == (1000, len(BYTES))

    def test_starts_over_where_ranges_are_ignored(self, host):
        spec = make_spec()
        host.files[spec.file_name], host.break_after, host.ignore_range = BYTES, [300_000, 200_000], True
        seen = []
        assert fetch_weights(spec, lambda done, total: seen.append((done, total))).read_bytes() == BYTES
        assert host.ranges == [None, "bytes=300000-", "bytes=200000-"]
        assert {total for _, total in seen} == {len(BYTES)}

    def test_asks_for_nothing_when_only_the_name_is_missing(self, host, cache):
        spec = make_spec()
        part = put(cache, f"{spec.file_name}.part")
        assert fetch_weights(spec).read_bytes() == BYTES
        assert host.requests == []
        assert not part.exists()

    @pytest.mark.parametrize("surplus", [0, 5], ids=["as long", "too long"])
    def test_starts_over_when_there_is_nothing_from_there_on(self, host, cache, surplus):
        spec = make_spec()
        put(cache, f"{spec.file_name}.part", b"x" * (len(BYTES) + surplus))
        host.files[spec.file_name] = BYTES
        assert fetch_weights(spec).read_bytes() == BYTES
        assert host.ranges == [f"bytes={len(BYTES) + surplus}-", None]

    @pytest.mark.parametrize("status", [500, 503, 429])
    def test_tries_again_after_a_passing_error(self, host, status):
        spec = make_spec()
        host.files[spec.file_name], host.statuses = BYTES, [status, status]
        assert fetch_weights(spec).read_bytes() == BYTES

    def test_gives_up_on_a_server_that_always_stalls(self, host, monkeypatch):
        monkeypatch.setattr(download, "_STALL_SECONDS", 0.1)
        spec = make_spec()
        host.files[spec.file_name], host.hold_after, host.ignore_range = BYTES, 1000, True
        with pytest.raises(WeightsError, match="the server does not answer"):
            fetch_weights(spec)
        assert len(host.requests) == 4

    def test_goes_on_after_a_stall(self, host, monkeypatch):
        monkeypatch.setattr(download, "_STALL_SECONDS", 0.1)
        spec = make_spec()
        host.files[spec.file_name], host.hold_after = BYTES, len(BYTES) // 2
        assert fetch_weights(spec).read_bytes() == BYTES
        assert host.ranges == [None, f"bytes={len(BYTES) // 2}-"]

    def test_password_goes_to_the_mirror_only(self, host, monkeypatch):
        monkeypatch.setenv(weights.MIRROR, f"http://me:se%20cret@{host.address}/models/")
        spec = make_spec()
        host.files[spec.file_name] = BYTES
        fetch_weights(spec)
        assert host.requests[0]["Authorization"] == "Basic bWU6c2UgY3JldA=="
        assert host.requests[0]["path"] == f"/models/{spec.file_name}"

    def test_where_the_home_cannot_be_written_to(self, host, home):
        (home / "torch").write_text("a file where the folder should be")
        spec = make_spec()
        host.files[spec.file_name] = BYTES
        path = fetch_weights(spec)
        assert path.parent == temporary_cache(home)
        assert find_weights(spec) == path

    def test_cancelled_and_resumed(self, host, cache):
        spec = make_spec()
        host.files[spec.file_name], host.hold_after = BYTES, 1000
        wanted = True

        def on_progress(done, total):
            nonlocal wanted
            wanted = done == 0

        with pytest.raises(DownloadCancelled):
            fetch_weights(spec, on_progress, lambda: not wanted)
        kept = (cache / f"{spec.file_name}.part").stat().st_size
        assert 0 < kept <= 1000
        host.hold_after = None
        assert fetch_weights(spec).read_bytes() == BYTES
        assert host.ranges == [None, f"bytes={kept}-"]

    def test_cancelled_before_it_began(self, host):
        with pytest.raises(DownloadCancelled):
            fetch_weights(make_spec(), cancelled=lambda: True)
        assert host.requests == []

    def test_a_second_download_waits_for_the_first(self, host):
        spec = make_spec()
        host.files[spec.file_name], host.hold_after = BYTES, 1000
        paths = []
        threads = [threading.Thread(target=lambda: paths.append(fetch_weights(spec))) for _ in range(2)]
        threads[0].start()
        assert host.holding.wait(10)
        threads[1].start()
        host.go_on.set()
        for thread in threads:
            thread.join(10)
        assert len(paths) == 2
        assert paths[0].read_bytes() == BYTES
        assert len(host.requests) == 1

    def test_one_who_waits_for_another_can_give_up(self, host):
        spec = make_spec()
        host.files[spec.file_name], host.hold_after = BYTES, 1000
        first = threading.Thread(target=fetch_weights, args=(spec,))
        first.start()
        assert host.holding.wait(10)
        totals = []
        with pytest.raises(DownloadCancelled):
            fetch_weights(spec, lambda done, total: totals.append(total), cancelled=lambda: True)
        assert totals == [None]
        host.go_on.set()
        first.join(10)
        assert find_weights(spec).read_bytes() == BYTES

    def test_two_processes_share_one_download(self, host, cache):
        spec = make_spec()
        host.files[spec.file_name], host.hold_after = BYTES, 1000
        context = multiprocessing.get_context("fork")
        url, target, prefix = f"{host.url}/{spec.file_name}", cache / spec.file_name, spec.file_name[5:13]
        cache.mkdir(parents=True)
        processes = [context.Process(target=download.download, args=(url, target, prefix)) for _ in range(2)]
        for process in processes:
            process.start()
        assert host.holding.wait(10)
        host.go_on.set()
        for process in processes:
            process.join(10)
        assert [process.exitcode for process in processes] == [0, 0]
        assert target.read_bytes() == BYTES
        assert len(host.requests) == 1


class TestRefusals:
    """Every message names the file, its source and a way out, and hides what belongs to the machine."""

    @pytest.fixture
    def refused(self, home, cache, monkeypatch):
        working = get_model_spec(list_models()[2])
        put(cache, working.file_name)

        def check(spec: ModelSpec) -> str:
            with pytest.raises(WeightsError) as raised:
                fetch_weights(spec)
            message = str(raised.value)
            assert spec.file_name in message
            assert spec.title in message
            assert message.endswith(f"Models that work right now: {working.key}.")
            assert str(home) not in message
            assert "\n" not in message
            return message

        return check

    @pytest.mark.parametrize(
        ("statuses", "words"),
        [
            pytest.param([404], "the server has no such file (HTTP 404)", id="404"),
            pytest.param([403], "the server refuses access (HTTP 403)", id="403"),
            pytest.param([503] * 4, "the server answered with an error (HTTP 503)", id="503 to the end"),
        ],
    )
    def test_http_error(self, host, refused, statuses, words):
        host.statuses = list(statuses)
        message = refused(make_spec())
        assert words in message
        assert host.url in message
        assert weights.WEIGHTS_DIR in message
        assert weights.MIRROR in message
        assert len(host.requests) == len(statuses)

    def test_connection_keeps_breaking(self, host, refused):
        spec = make_spec()
        host.files[spec.file_name], host.break_after = BYTES, [0] * 9
        assert "keeps breaking off" in refused(spec)
        assert len(host.requests) == 4

    def test_host_is_absent(self, refused, monkeypatch):
        with DownloadHost() as gone:
            monkeypatch.setenv(weights.MIRROR, gone.url)
        assert "the server refuses the connection" in refused(make_spec())

    def test_no_network(self, refused, monkeypatch):
        def fail(*_, **__):
            raise download.socket.gaierror(-2, "Name or service not known")

        monkeypatch.setattr("socket.getaddrinfo", fail)
        message = refused(make_spec())
        assert "from https://nowhere.invalid: the server's name cannot be resolved, so there is probably no network" in message

    def test_corrupt_bytes_are_deleted(self, host, refused, cache):
        spec = make_spec()
        host.files[spec.file_name] = BYTES[:-1] + b"x"
        message = refused(spec)
        assert "not the expected one" in message
        assert f"and not {spec.file_name[5:13]}" in message
        assert find_weights(spec) is None
        assert not (cache / f"{spec.file_name}.part").exists()
        host.files[spec.file_name] = BYTES
        assert fetch_weights(spec).read_bytes() == BYTES

    @pytest.mark.parametrize(
        ("length", "words"),
        [(len(BYTES) // 2, "not the expected one"), (len(BYTES) + 1000, "keeps breaking off"), (10**18, "the disk is too full")],
        ids=["too short", "too long", "absurd"],
    )
    def test_server_that_lies_about_the_length_until_it_does_not(self, host, refused, length, words):
        spec = make_spec()
        host.files[spec.file_name], host.length = BYTES, str(length)
        assert words in refused(spec)
        host.length = None
        assert fetch_weights(spec).read_bytes() == BYTES

    def test_no_room_before_a_byte_is_written(self, host, refused, monkeypatch):
        spec = make_spec()
        host.files[spec.file_name] = BYTES
        monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1000))
        assert "the disk is too full: 1.0 MB are needed and 0.0 MB are free" in refused(spec)

    def test_disk_fills_up_meanwhile(self, host, refused, monkeypatch):
        spec = make_spec()
        host.files[spec.file_name] = BYTES

        class FullDisk(io.FileIO):
            def write(self, data):
                if self.tell():
                    raise OSError(errno.ENOSPC, "No space left on device", self.name)
                return super().write(data[:1000])

        monkeypatch.setattr(Path, "open", lambda path, mode, buffering: FullDisk(path, mode))
        assert "the disk is full" in refused(spec)

    def test_no_cache_can_be_written_to(self, host, home, monkeypatch):
        (home / "torch").write_text("")
        temporary_cache(home).write_text("")
        with pytest.raises(WeightsError, match=r"no cache folder can be written to\. Set TORCH_HOME") as raised:
            fetch_weights(make_spec())
        assert str(home) not in str(raised.value)
        assert str(raised.value).endswith("Models that work right now: none.")

    @pytest.mark.parametrize("mirror", ["mirror.example/models", "file:///etc", "ftp://host/x"])
    def test_mirror_of_another_kind(self, refused, monkeypatch, mirror):
        monkeypatch.setenv(weights.MIRROR, mirror)
        assert "does not begin with http:// or https://" in refused(make_spec())

    def test_mirrors_password_is_not_shown(self, host, refused, monkeypatch):
        monkeypatch.setenv(weights.MIRROR, f"http://me:secret@{host.address}/models")
        message = refused(make_spec())
        assert f"from {host.url}:" in message
        assert "secret" not in message

    def test_nothing_is_downloaded_if_the_host_says_so(self, host, home, refused, monkeypatch):
        monkeypatch.setenv("DETECTION_EXPLORER_OFFLINE", "1")
        assert "are not on this machine" in refused(make_spec())
        with pytest.raises(WeightsError, match="are not on this machine"):
            fetch_backbone(ResNet50_Weights.IMAGENET1K_V1)
        assert host.requests == []
        assert ModelLoader().state(make_spec()) == "not on this machine"

    def test_embedded_model_is_missing(self, refused):
        assert "assets folder" in refused(get_model_spec(PERSON_MODEL))
