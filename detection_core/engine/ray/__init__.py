"""Detection on a Ray cluster: an engine for visitors whose models run as replicas of a Ray Serve application."""

from detection_core.engine.ray.engine import RayEngine
from detection_core.engine.ray.installed import RayMissingError, require_ray
from detection_core.engine.ray.settings import DetectorSettings

__all__ = ["DetectorSettings", "RayEngine", "RayMissingError", "require_ray"]
