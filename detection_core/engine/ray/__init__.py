"""Detection on a Ray cluster: an engine for visitors whose models run as replicas of a Ray Serve application."""

from detection_core.engine.ray.installed import RayMissingError, require_ray

__all__ = ["RayMissingError", "require_ray"]
