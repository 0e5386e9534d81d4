"""Which live streams are served, which wait, and when they end, by a clock of the test's own."""

from __future__ import annotations

import pytest

from detection_core.engine import Job
from detection_core.models.catalog import PERSON_MODEL, get_model_spec
from detection_core.ui.live.streams import LiveFrame, LiveStreams, StreamEndedError, TooManyStreamsError

SPEC = get_model_spec(PERSON_MODEL)
OTHER = get_model_spec("ssdlite320_mobilenet_v3_large")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def streams(clock: Clock) -> LiveStreams:
    return LiveStreams(most=2, clock=clock)


def in_flight(stream) -> Job:
    job = Job(stream.spec, stream.visitor)
    stream.frames[1] = LiveFrame(0.0, 0.5, True, job=job)
    return job


def test_the_first_are_served_and_the_others_wait(streams):
    begun = [streams.begin(visitor, SPEC) for visitor in "abcd"]
    assert [streams.place(stream) for stream in begun] == [0, 0, 1, 2]
    streams.remove(begun[0].token)
    assert [streams.place(stream) for stream in begun[1:]] == [0, 0, 1]
    assert len(streams) == 3


def test_a_visitor_has_one_stream_and_keeps_the_place_with_another_model(streams):
    first, _, third = (streams.begin(visitor, SPEC) for visitor in "abc")
    job = in_flight(first)
    again = streams.begin("a", OTHER)
    assert (again.spec, streams.place(again), streams.place(third), len(streams)) == (OTHER, 0, 1, 3)
    assert job.cancelled
    with pytest.raises(StreamEndedError, match="you have started another stream"):
        streams.find(first.token)


def test_silence_ends_a_stream(streams, clock):
    silent, heard = streams.begin("a", SPEC), streams.begin("b", SPEC)
    for _ in range(3):
        clock.now += 5
        assert streams.find(heard.token) is heard
    with pytest.raises(StreamEndedError):
        streams.find(silent.token)
    assert len(streams) == 1


def test_waiting_for_a_slow_model_is_no_silence(streams, clock):
    stream = streams.begin("a", SPEC)
    in_flight(stream)
    clock.now += 60
    assert streams.find(stream.token) is stream


def test_a_program_may_wait_for_its_frame_and_has_time_for_the_next_one(streams, clock):
    stream = streams.begin("a", SPEC)
    with streams.awaiting(stream, LiveFrame(0.0, 0.5, True)):
        clock.now += 60
        assert len(streams) == 1
    clock.now += 10
    assert streams.find(stream.token) is stream
    clock.now += 13
    assert len(streams) == 0


@pytest.mark.parametrize("how", ["remove", "leave"])
def test_what_ends_frees_the_engine(streams, how: str):
    stream = streams.begin("a", SPEC)
    job = in_flight(stream)
    streams.remove(stream.token) if how == "remove" else streams.leave("a")
    assert job.cancelled
    assert (stream.frames, len(streams)) == ({}, 0)
    streams.remove("unknown")
    streams.leave("unknown")


def test_names_cannot_be_guessed_and_unknown_ones_are_refused(streams):
    assert len({streams.begin(visitor, SPEC).token for visitor in "abc"}) == 3
    assert len(streams.begin("d", SPEC).token) > 20
    with pytest.raises(StreamEndedError):
        streams.find("")


def test_the_queue_has_an_end(streams):
    for number in range(90):
        streams.begin(f"visitor {number}", SPEC)
    with pytest.raises(TooManyStreamsError, match="in a minute"):
        streams.begin("one more", SPEC)
    streams.begin("visitor 7", OTHER)
