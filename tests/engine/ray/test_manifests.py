"""The files for `serve deploy` and KubeRay: as they are in deploy/, and as their schema wants them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from benchmarks.house import ROOT
from detection_core.engine.ray.manifests import RAY_SERVICE, SERVE, ray_service, serve_config, write
from detection_core.engine.ray.settings import DetectorSettings

ON_GPU = DetectorSettings(min_replicas=2, max_replicas=16, cpus=4, gpus=0.5)


def test_the_files_are_those_of_the_default_settings(tmp_path: Path):
    write(tmp_path, DetectorSettings(), "detection-explorer:latest")
    for name in (SERVE, RAY_SERVICE):
        assert (ROOT / "deploy" / name).read_text("utf-8") == (tmp_path / name).read_text("utf-8")


@pytest.mark.ray
@pytest.mark.parametrize("detectors", [DetectorSettings(), ON_GPU], ids=["cpu", "gpu"])
def test_ray_serve_accepts_the_file(detectors: DetectorSettings):
    schema = pytest.importorskip("ray.serve.schema", reason="Ray is not installed: pip install -r requirements-scale.txt")
    read = schema.ServeDeploySchema.model_validate(serve_config(detectors))
    (deployment,) = read.applications[0].deployments
    assert deployment.autoscaling_config["max_replicas"] == detectors.max_replicas
    assert deployment.ray_actor_options.num_gpus == detectors.gpus
    # The schema takes any dictionary here; Ray checks it when the application starts.
    config = pytest.importorskip("ray.serve.config").AutoscalingConfig
    assert config(**deployment.autoscaling_config).min_replicas == detectors.min_replicas
    with pytest.raises(ValueError, match="proxy_location"):
        schema.ServeDeploySchema.model_validate({**serve_config(detectors), "proxy_location": "Nowhere"})


@pytest.mark.parametrize(
    ("detectors", "pods", "limits"),
    [
        (DetectorSettings(1, 4, 2), (1, 4), {"cpu": "2", "memory": "8Gi"}),
        (ON_GPU, (1, 8), {"cpu": "8", "memory": "16Gi", "nvidia.com/gpu": "1"}),
        (DetectorSettings(1, 3, 4, 0.25), (1, 1), {"cpu": "16", "memory": "32Gi", "nvidia.com/gpu": "1"}),
        (DetectorSettings(1, 3, 4, 2), (1, 3), {"cpu": "4", "memory": "8Gi", "nvidia.com/gpu": "2"}),
    ],
)
def test_pods_have_room_for_all_detectors(detectors: DetectorSettings, pods: tuple[int, int], limits: dict[str, str]):
    spec = ray_service(detectors, "image")["spec"]
    assert yaml.safe_load(spec["serveConfigV2"]) == serve_config(detectors)
    (group,) = spec["rayClusterConfig"]["workerGroupSpecs"]
    assert (group["minReplicas"], group["maxReplicas"]) == pods
    assert group["template"]["spec"]["containers"][0]["resources"]["limits"] == limits
