"""Long jobs: which wait, which run, and what becomes of cancelled ones."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError

import pytest

from detection_core.ui.video.jobs import JobsFullError, VideoJob, VideoJobs
from detection_core.video import VideoProgress
from detection_core.video.io import VideoError

PATIENCE = 10


class Work:
    """Runs until the test ends or cancels it."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.may_end = threading.Event()

    def __call__(self, job: VideoJob) -> None:
        self.began.set()
        while not self.may_end.wait(0.01):
            if job.cancelled():
                raise CancelledError


def test_one_runs_and_the_others_know_their_places():
    jobs, works = VideoJobs(), [Work() for _ in range(3)]
    a, b, c = (jobs.submit(visitor, work) for visitor, work in zip("abc", works, strict=True))
    assert works[0].began.wait(PATIENCE)
    assert [(job.state.stage, job.state.ahead) for job in (a, b, c)] == [("running", 0), ("waiting", 1), ("waiting", 2)]
    works[0].may_end.set()
    assert works[1].began.wait(PATIENCE)
    assert a.wait(PATIENCE)
    assert [(job.state.stage, job.state.ahead) for job in (a, b, c)] == [("done", 0), ("running", 0), ("waiting", 1)]
    assert not works[2].began.is_set()
    for work in works:
        work.may_end.set()
    assert c.wait(PATIENCE)


def test_a_visitors_newer_job_ends_the_older():
    jobs, first, second = VideoJobs(), Work(), Work()
    older = jobs.submit("a", first)
    assert first.began.wait(PATIENCE)
    newer = jobs.submit("a", second)
    assert older.wait(PATIENCE)
    assert older.state.stage == "cancelled"
    assert second.began.wait(PATIENCE)
    second.may_end.set()
    assert newer.wait(PATIENCE)


def test_a_waiting_job_is_cancelled_at_once():
    jobs, running, waiting = VideoJobs(), Work(), Work()
    first = jobs.submit("a", running)
    job, last = jobs.submit("b", waiting), jobs.submit("c", Work())
    jobs.cancel(job)
    assert job.wait(0)
    assert job.state.stage == "cancelled"
    assert last.state.ahead == 1
    jobs.leave("c")
    running.may_end.set()
    assert first.wait(PATIENCE)
    assert not waiting.began.is_set()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        pytest.param(VideoError("The video is damaged."), "The video is damaged.", id="for people"),
        pytest.param(OSError(28, "No space left on device", "/secret/path"), "No space left on device", id="disk"),
        pytest.param(KeyError("/secret/path"), "unexpectedly|unexpected", id="ours"),
    ],
)
def test_errors_are_sentences(error, words):
    def fail(job: VideoJob) -> None:
        raise error

    job = VideoJobs().submit("a", fail)
    assert job.wait(PATIENCE)
    assert job.state.stage == "failed"
    assert any(word in str(job.state.error) for word in words.split("|"))
    assert "secret" not in str(job.state.error)


def test_after_a_failure_the_next_one_runs():
    jobs, work = VideoJobs(), Work()

    def fail(job: VideoJob) -> None:
        raise VideoError("broken")

    jobs.submit("a", fail)
    jobs.submit("b", work)
    assert work.began.wait(PATIENCE)
    work.may_end.set()


def test_too_many_are_refused():
    jobs, work = VideoJobs(max_waiting=1), Work()
    jobs.submit("a", work)
    jobs.submit("b", work)
    with pytest.raises(JobsFullError, match="Try again"):
        jobs.submit("c", work)
    work.may_end.set()


def test_progress_stays_while_something_else_is_waited_for():
    progress = VideoProgress(3, 10, 2.0, 3.5)
    seen = []

    def work(job: VideoJob) -> None:
        job.report(progress=progress)
        job.report()
        seen.append(job.state.progress)

    assert VideoJobs().submit("a", work).wait(PATIENCE)
    assert seen == [progress]
