"""Several real raylets on this machine, unlike by the environment of their processes; each can be killed and frozen.

`ray.cluster_utils.Cluster` starts them; `ray stop` is never run, since it ends every Ray process of the machine. Ray
runs its workers 15 steps nicer than itself; here all run alike, ours and Ray's own, whatever else the machine does.
"""

import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psutil

OBJECT_STORE_BYTES = 80 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One node: its name, how many attempts at once, and what its processes find in their environment."""

    id: str
    cpus: int = 1
    environment: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    amounts: Mapping[str, float] = field(default_factory=dict)


class RayPool:
    """A running cluster; the first node holds Ray's control store."""

    def __init__(self, cluster: Any) -> None:  # Any: ray.cluster_utils.Cluster, which has no types
        self._cluster = cluster
        self._nodes: dict[str, Any] = {}
        self._frozen: list[psutil.Process] = []

    @property
    def address(self) -> str:
        """Return where the control store listens."""
        return str(self._cluster.address)

    def add(self, wanted: Wanted) -> None:
        """Start one more raylet and wait until Ray knows it."""
        self._nodes[wanted.id] = self._cluster.add_node(
            num_cpus=wanted.cpus,
            labels={"dnaml-id": wanted.id, **wanted.labels},
            resources=dict(wanted.amounts) or None,
            env_vars={"RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1", **wanted.environment},
            object_store_memory=OBJECT_STORE_BYTES,
            include_dashboard=False,
        )

    def raylet(self, node_id: str) -> psutil.Process:
        """Return the raylet's process."""
        return psutil.Process(self._nodes[node_id].all_processes["raylet"][0].process.pid)

    def control_store(self) -> psutil.Process:
        """Return the process of the control store."""
        return psutil.Process(self._cluster.head_node.all_processes["gcs_server"][0].process.pid)

    def kill(self, node_id: str) -> None:
        """SIGKILL a raylet and what it started, as when a machine loses power."""
        raylet = self.raylet(node_id)
        for process in [raylet, *raylet.children(recursive=True)]:
            _signal(process, signal.SIGKILL)

    def freeze(self, node_id: str) -> None:
        """SIGSTOP a raylet and everything below it: the node is there, and silent."""
        raylet = self.raylet(node_id)
        self._frozen = [raylet, *raylet.children(recursive=True)]
        for process in self._frozen:
            _signal(process, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let what was frozen go on."""
        for process in self._frozen:
            _signal(process, signal.SIGCONT)
        self._frozen = []

    def remove(self, node_id: str) -> None:
        """Take a node away in good order."""
        self._cluster.remove_node(self._nodes.pop(node_id))

    def close(self) -> None:
        """End every process of the cluster."""
        self.thaw()
        self._cluster.shutdown()


def _signal(process: psutil.Process, number: int) -> None:
    try:
        os.kill(process.pid, number)
    except ProcessLookupError:
        pass  # it ended by itself just now


@contextmanager
def raylets(wanted: Sequence[Wanted]) -> Iterator[RayPool]:
    """Start one raylet for each node and yield the pool; end them all."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_worker_niceness", "0")  # of raylets that are added later, too
    from ray.cluster_utils import Cluster

    pool = RayPool(Cluster(initialize_head=False))
    try:
        for node in wanted:
            pool.add(node)
        yield pool
    finally:
        pool.close()
