"""Ray nodes that somebody else's machines become: what Ray's autoscaler starts when it is asked for room.

They are `Nodes` for a `NodeProvider`, on Kubernetes and wherever else Ray scales.
"""

import threading
import time
from collections.abc import Mapping

from dnaml.core.resource import Kind, Resource
from dnaml.execution.on_ray.cluster import Cluster

_LOOK_EVERY_S = 0.25
_AMOUNT: Mapping[Kind, str] = {Kind.GPU: "GPU", Kind.ASIC: "TPU"}


class Requested:
    """Asks Ray's autoscaler that one more node fits, and waits until one joined that was not there before.

    A node is taken for the answer if it offers what was asked for; a node that is given back leaves the request, and
    Ray removes it after its own time of idleness. `cluster` is set by the back end that joins it.
    """

    def __init__(self, *, within_s: float = 600.0) -> None:
        self.cluster: Cluster | None = None
        self._within_s = within_s
        self._lock = threading.Lock()
        self._bundles: dict[str, dict[str, float]] = {}
        self._there: dict[str, frozenset[str]] = {}
        self._node_of: dict[str, str] = {}

    def add(self, like: Resource, token: str) -> str:
        """Ask for a node and return its resource's id; raises RuntimeError when none joins in time."""
        cluster = self._joined()
        with self._lock:
            there = self._there.setdefault(token, frozenset(cluster.nodes.alive.values()))
            self._bundles[token] = _bundle(like)
            self._request(cluster)
        until_s = time.monotonic() + self._within_s
        while time.monotonic() < until_s:
            with self._lock:
                if token in self._node_of:
                    return self._node_of[token]
                new = set(cluster.nodes.alive.values()) - there - set(self._node_of.values())
                if new:
                    self._node_of[token] = min(new)
                    return self._node_of[token]
            time.sleep(_LOOK_EVERY_S)
        with self._lock:
            self._forget(token)
            self._request(cluster)
        raise RuntimeError(f"no node with {_bundle(like)} joined within {self._within_s:g} s")

    def remove(self, node_id: str) -> None:
        """Take a node's share of the request back."""
        with self._lock:
            for token in [token for token, node in self._node_of.items() if node == node_id]:
                self._forget(token)
            self._request(self._joined())

    def is_alive(self, node_id: str) -> bool:
        """Say whether Ray lists a node."""
        return self.cluster is not None and node_id in self.cluster.nodes.alive.values()

    def started(self) -> Mapping[str, str]:
        """Return the nodes that came of requests that stand."""
        with self._lock:
            return {node: token for token, node in self._node_of.items()}

    def _forget(self, token: str) -> None:
        for kept in (self._bundles, self._there, self._node_of):
            kept.pop(token, None)

    def _joined(self) -> Cluster:
        if self.cluster is None:
            raise RuntimeError("no back end has joined a Ray cluster yet")
        return self.cluster

    def _request(self, cluster: Cluster) -> None:
        cluster.request(list(self._bundles.values()))


def _bundle(like: Resource) -> dict[str, float]:
    """Return what one node must have room for."""
    return {_AMOUNT.get(like.kind, "CPU"): float(like.slots)}
