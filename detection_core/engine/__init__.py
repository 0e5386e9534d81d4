"""Where detection runs: one interface, and the engine that runs in this process."""

from detection_core.engine.base import Cancelled, Engine, EngineError, Job, JobState, Result, Stage
from detection_core.engine.local import LocalEngine

__all__ = ["Cancelled", "Engine", "EngineError", "Job", "JobState", "LocalEngine", "Result", "Stage"]
