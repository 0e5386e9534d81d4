from __future__ import annotations

import asyncio

import pytest

from detection_core.engine import EngineBusyError, EngineError
from detection_core.ui.hosting.health import Health
from tests.asynchronous import run_async
from tests.ui.fake_engine import FakeEngine


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def reason(health: Health) -> str:
    return run_async(health._why_not_ready())


def test_a_model_runs_and_not_more_often_than_needed():
    engine, clock = FakeEngine(), Clock()
    health = Health(engine, clock=clock)
    assert [reason(health) for _ in range(3)] == [""] * 3
    assert len(engine.submissions) == 1
    clock.now += 10
    assert reason(health) == ""
    assert len(engine.submissions) == 2
    assert not any(submission.keep for submission in engine.submissions)


@pytest.mark.parametrize("at_once", [True, False])
def test_an_engine_that_fails_is_not_ready_until_it_recovers(at_once: bool):
    engine = FakeEngine()
    (engine.refusals if at_once else engine.failures).append(EngineBusyError("Too many.") if at_once else EngineError("Broken."))
    health = Health(engine)
    assert reason(health) == ("Too many.\n" if at_once else "Broken.\n")
    assert reason(health) == ""


def test_an_engine_that_hangs_is_not_ready_and_is_not_asked_twice():
    engine = FakeEngine(holds=True)
    health = Health(engine, patience=0.02)
    assert [reason(health) for _ in range(3)] == ["no model has answered in time\n"] * 3
    assert len(engine.submissions) == 1
    engine.release()
    assert reason(health) == ""


def test_requests_at_the_same_time_share_one_run():
    engine = FakeEngine(delay=0.05)
    health = Health(engine)

    async def ask() -> list[str]:
        return await asyncio.gather(*(health._why_not_ready() for _ in range(5)))

    assert run_async(ask()) == [""] * 5
    assert len(engine.submissions) == 1
