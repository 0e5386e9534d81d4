"""The source itself: weights are read as data, no text from outside is ever run, and no clock that jumps measures a time."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from benchmarks.house import ROOT

SOURCES = sorted([ROOT / "app.py", *(ROOT / "detection_core").rglob("*.py")])
# Names that run what they are given, wherever they come from.
RUNS_CODE = {"eval", "exec", "__import__"}
# What of a module may not be used; None: nothing of it.
FORBIDDEN = {
    "pickle": {"load", "loads", "Unpickler"},
    "marshal": None,
    "shelve": None,
    "dill": None,
    "joblib": None,
    "cloudpickle": None,
    "subprocess": None,
    "pty": None,
    "os": {"system", "popen", "execv", "execl", "execve", "execvp", "spawnl", "spawnv", "posix_spawn", "fork"},
    "shutil": {"unpack_archive"},
    # Ages and waits are measured by clocks that do not jump.
    "time": {"time", "time_ns"},
}
# Loads pickles unless it is said otherwise.
ASKS_FOR_WEIGHTS_ONLY = {"torch.load", "torch.hub.load_state_dict_from_url"}


def misuses(source: str) -> Iterator[str]:
    """What a source uses that it may not."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if FORBIDDEN.get(alias.name.split(".")[0], ()) is None)
        elif isinstance(node, ast.ImportFrom):
            names = FORBIDDEN.get((node.module or "").split(".")[0], ())
            yield from (f"{node.module}.{alias.name}" for alias in node.names if names is None or alias.name in names)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.attr in (FORBIDDEN.get(node.value.id) or ()):
                yield f"{node.value.id}.{node.attr}"
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            if name in RUNS_CODE:
                yield name
            if name in ASKS_FOR_WEIGHTS_ONLY and keywords.get("weights_only") != "True":
                yield f"{name} without weights_only"
            if keywords.get("shell", "False") != "False" or keywords.get("allow_pickle", "False") != "False":
                yield f"{name} with shell or allow_pickle"


# Ray itself passes pickles between the processes of a cluster; these are our own workers' rows.
ACCEPTED = ["detection_core/cluster_batch.py: pickle.loads"]


def test_nothing_runs_what_it_is_given():
    assert [f"{path.relative_to(ROOT).as_posix()}: {each}" for path in SOURCES for each in misuses(path.read_text("utf-8"))] == ACCEPTED


@pytest.mark.parametrize(
    "source",
    [
        "import pickle\npickle.loads(data)",
        "from pickle import load",
        "import subprocess",
        "from subprocess import run",
        "import os\nos.system('ls')",
        "eval(text)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "run('ls', shell=True)",
        "import time\ntime.time()",
    ],
)
def test_the_check_sees(source):
    assert list(misuses(source))


@pytest.mark.parametrize(
    "source", ["import pickle\ntry:\n  pass\nexcept pickle.UnpicklingError:\n  pass", "torch.load(p, weights_only=True)"]
)
def test_the_check_lets_pass(source):
    assert not list(misuses(source))
