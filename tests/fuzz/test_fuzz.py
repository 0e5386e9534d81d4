"""Tests that the fuzzer notices every kind of fault, and that the first inputs of each reader are handled."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.planted import KINDS
from tests.fuzz.readers import READERS, input_of, reader_of
from tests.fuzz.runner import fuzz, save
from tests.fuzz.worker import outcome_of

# Inputs besides the valid ones; a run of `python -m tests.fuzz` tries thousands.
SLOW = {"checkpoints", "messages"}
MUTATED = {"checkpoints": 3, "messages": 15, "numbering": 15}


def test_every_kind_of_fault_is_found_and_kept(tmp_path: Path):
    run = fuzz("planted", seconds=60, most=len(KINDS), patience=2, megabytes=500)
    assert run.outcomes == {"accepted": 1, "refused": 1, "failed": 6}
    found = {KINDS[failure.number].decode(): failure.kind.partition(" at ")[0] for failure in run.failures}
    assert found == {
        "exception": "KeyError",
        "path": "a message contains a path of the server",
        "recursion": "RecursionError",
        "death": "death by SIGABRT",
        "memory": "MemoryError",
        "hang": "hang",
    }
    assert [path.read_bytes() for path in save(run, tmp_path, seed=0)] == [KINDS[failure.number] for failure in run.failures]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in READERS])
def test_first_inputs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    reader = reader_of(name)
    seeds = reader.seeds(tmp_path)
    outcomes = []
    for number in range(len(seeds) + MUTATED.get(name, 60)):
        data = input_of(reader, seeds, name, 0, number)
        assert data == input_of(reader, seeds, name, 0, number)
        outcomes.append(outcome_of(reader, data, tmp_path))
    assert [outcome for outcome in outcomes if outcome["outcome"] == "failed"] == []
    # Of the inputs that are not mutated, a few are refused: those of other kinds.
    assert 5 * sum(outcome["outcome"] == "accepted" for outcome in outcomes[: len(seeds)]) >= len(seeds)
