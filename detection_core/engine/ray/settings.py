"""How many detectors there are on a cluster and what each of them has: the one source of every deployment of them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

APPLICATION = "detection-explorer"
DEPLOYMENT = "Detector"
IMPORT_PATH = "detection_core.engine.ray.replica:build"

# Images that a detector runs, loads a model for or has in line; the page sends fewer, unless several pages share the detectors.
_ONGOING_ON_CPU, _ONGOING_ON_GPU = 8, 32
_CHECKOUT = Path(__file__).resolve().parents[3]
# What the detectors need of the environment that the page was started in.
_PASSED_ON = (
    *(f"DETECTION_EXPLORER_{name}" for name in ("MEMORY_BUDGET", "WEIGHTS_DIR", "WEIGHTS_MIRROR", "OFFLINE")),
    "TORCH_HOME",
    "OPENBLAS_NUM_THREADS",
)


@dataclass(frozen=True)
class DetectorSettings:
    """The detectors of a cluster.

    Attributes:
        min_replicas: So many detectors are there always.
        max_replicas: So many are started when there is much to do.
        cpus: CPU cores of each.
        gpus: GPUs of each, also a part of one: with 0.5, two detectors share a GPU.
    """

    min_replicas: int = 1
    max_replicas: int = 4
    cpus: int = 2
    gpus: float = 0.0

    @property
    def device(self) -> str:
        """Where each runs its models, as torch names it; Ray shows a detector only its own GPU."""
        return "cuda" if self.gpus else "cpu"

    def deployment(self) -> dict[str, Any]:
        """Returns Ray Serve's options of the deployment, under the names of its schema."""
        ongoing = _ONGOING_ON_GPU if self.gpus else _ONGOING_ON_CPU
        return {
            "name": DEPLOYMENT,
            "max_ongoing_requests": ongoing,
            "autoscaling_config": {
                "min_replicas": self.min_replicas,
                "max_replicas": self.max_replicas,
                # The page fills a replica up to one image more than it runs side by side, which has to count as busy.
                "target_ongoing_requests": ongoing / 4,
                "upscale_delay_s": 5,
                "downscale_delay_s": 300,
            },
            # A line for each image takes time, and says less than the page's own log.
            "logging_config": {"enable_access_log": False},
            "ray_actor_options": {"num_cpus": self.cpus, "num_gpus": self.gpus},
            "health_check_period_s": 5,
            "health_check_timeout_s": 30,
        }

    def application(self) -> dict[str, Any]:
        """Returns the application in Ray Serve's schema, without an address: the page calls it by its handle."""
        return {
            "name": APPLICATION,
            "route_prefix": None,
            "import_path": IMPORT_PATH,
            "args": {"device": self.device},
            "deployments": [self.deployment()],
        }


def worker_environment() -> dict[str, str]:
    """Returns what a process of the cluster needs in its environment: the program's folder, and the settings of this process."""
    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return {**passed_on, "PYTHONPATH": str(_CHECKOUT)}
