"""Ray past one machine: `RayBackend` runs attempts on its nodes, `place` places a Ray user's own functions."""

from collections.abc import Callable

from dnaml.datasets.state import StateFolder
from dnaml.execution.local import Listener, NowS
from dnaml.execution.on_ray.backend import RayBackend
from dnaml.execution.on_ray.cluster import Cluster
from dnaml.execution.on_ray.placing import Placer, place, survey
from dnaml.execution.on_ray.raylets import Raylets
from dnaml.execution.on_ray.requested import Requested
from dnaml.execution.on_ray.settings import RaySettings

__all__ = ["Cluster", "Placer", "RayBackend", "RaySettings", "Raylets", "Requested", "on_ray", "place", "survey"]

OpenBackend = Callable[[StateFolder, Listener, NowS], RayBackend]


def on_ray(
    address: str = "auto", settings: RaySettings | None = None, *, requested: Requested | None = None
) -> OpenBackend:
    """Return what joins the Ray cluster at an address ("auto", "local" or HOST:PORT) and opens a back end on it.

    It raises MissingExtra without Ray, and InputError naming what is wrong with the address or the cluster. `requested`
    are the nodes that scaling asks that cluster's autoscaler for.
    """

    def open_backend(state: StateFolder, listener: Listener, now_s: NowS) -> RayBackend:
        cluster = Cluster(address, settings)
        if requested is not None:
            requested.cluster = cluster
        samples = state.root / "samples.sqlite"
        return RayBackend(state.checkpoints, state.logs, listener, now_s, cluster, samples)

    return open_backend
