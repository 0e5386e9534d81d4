"""Where detection runs: one interface, and the engine that runs in this process."""

from detection_core.engine.base import (
    Call,
    Cancelled,
    Engine,
    EngineBusyError,
    EngineError,
    EngineStatus,
    Function,
    Job,
    JobState,
    Result,
    Stage,
    VisitorBusyError,
)
from detection_core.engine.local import LocalEngine
from detection_core.engine.measurement import Measurement, summarize, take_turns

__all__ = [
    "Call",
    "Cancelled",
    "Engine",
    "EngineBusyError",
    "EngineError",
    "EngineStatus",
    "Function",
    "Job",
    "JobState",
    "LocalEngine",
    "Measurement",
    "Result",
    "Stage",
    "VisitorBusyError",
    "summarize",
    "take_turns",
]
