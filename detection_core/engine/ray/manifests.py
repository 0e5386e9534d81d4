"""Writes the files that start the detectors on a cluster: `python -m detection_core.engine.ray.manifests --help`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import yaml

from detection_core.engine.ray.settings import DetectorSettings

SERVE, RAY_SERVICE = "serve.yaml", "rayservice.yaml"
_RAY_VERSION = "2.60.0"
_HEADER = """\
# Written by `python -m detection_core.engine.ray.manifests`; see docs/scale.md.
"""


def serve_config(detectors: DetectorSettings) -> dict[str, Any]:
    """Returns the file for `serve deploy`."""
    # The page calls detectors by their handle, so there is no address to listen on.
    return {"proxy_location": "Disabled", "applications": [detectors.application()]}


def ray_service(detectors: DetectorSettings, image: str) -> dict[str, Any]:
    """Returns KubeRay's manifest of a cluster that runs the detectors.

    Args:
        detectors: The detectors; those that share a GPU share a pod, others have one each.
        image: A container image with this program and `requirements-scale.txt`, the same on every node.
    """
    # A pod has one GPU, and as many detectors as share it.
    detectors_per_pod = max(1, int(1 / detectors.gpus)) if detectors.gpus else 1
    gpu = {"nvidia.com/gpu": str(max(1, int(detectors.gpus)))} if detectors.gpus else {}
    resources = {"cpu": str(detectors.cpus * detectors_per_pod), "memory": f"{8 * detectors_per_pod}Gi", **gpu}
    workers = {
        "groupName": "detectors",
        "minReplicas": -(-detectors.min_replicas // detectors_per_pod),
        "maxReplicas": -(-detectors.max_replicas // detectors_per_pod),
        "rayStartParams": {},
        "template": _pod("ray-worker", image, resources),
    }
    # The head computes nothing, so that it has time for the cluster.
    head = {
        "rayStartParams": {"num-cpus": "0", "dashboard-host": "0.0.0.0"},
        "template": _pod("ray-head", image, {"cpu": "2", "memory": "4Gi"}),
    }
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayService",
        "metadata": {"name": "detection-explorer"},
        "spec": {
            "serveConfigV2": yaml.safe_dump(serve_config(detectors), sort_keys=False),
            "rayClusterConfig": {
                "rayVersion": _RAY_VERSION,
                "enableInTreeAutoscaling": True,
                "headGroupSpec": head,
                "workerGroupSpecs": [workers],
            },
        },
    }


def _pod(name: str, image: str, resources: dict[str, str]) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": name, "image": image, "resources": {"limits": resources, "requests": resources}}]}}


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks, and what is there twice twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, "|" if "\n" in text else None))


def write(folder: Path, detectors: DetectorSettings, image: str) -> None:
    """Writes both files into a folder."""
    for name, content in {SERVE: serve_config(detectors), RAY_SERVICE: ray_service(detectors, image)}.items():
        (folder / name).write_text(_HEADER + yaml.dump(content, Dumper=_Dumper, sort_keys=False), "utf-8")


def main() -> None:
    """Reads the flags and writes the files."""
    usual = DetectorSettings()
    parser = argparse.ArgumentParser(description="Write deploy/serve.yaml and deploy/rayservice.yaml.")
    parser.add_argument("--min", type=int, default=usual.min_replicas, help="detectors that are there always (%(default)s)")
    parser.add_argument("--max", type=int, default=usual.max_replicas, help="detectors when there is much to do (%(default)s)")
    parser.add_argument("--cpus", type=int, default=usual.cpus, help="CPU cores of each detector (%(default)s)")
    parser.add_argument("--gpus", type=float, default=usual.gpus, help="GPUs of each detector, also a part of one (%(default)s)")
    parser.add_argument("--image", default="detection-explorer:latest", help="container image of all nodes (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("deploy"), help="folder (%(default)s)")
    args = parser.parse_args()
    write(args.out, DetectorSettings(args.min, args.max, args.cpus, args.gpus), args.image)


if __name__ == "__main__":
    main()
