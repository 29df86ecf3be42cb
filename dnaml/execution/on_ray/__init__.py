"""Ray past one machine: `RayBackend` runs attempts on its nodes, `place` places a Ray user's own functions."""

from dnaml.execution.on_ray.backend import RayBackend
from dnaml.execution.on_ray.cluster import Cluster
from dnaml.execution.on_ray.settings import RaySettings

__all__ = ["Cluster", "RayBackend", "RaySettings"]
