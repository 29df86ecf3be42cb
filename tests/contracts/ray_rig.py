"""The Ray backend on the bench: two raylets on this machine, shared by all scenarios of a module."""

import atexit
import os
import signal
import time
from contextlib import ExitStack
from functools import cache
from pathlib import Path

from benchmarks.ray_pool import Wanted, raylets
from dnaml.execution.on_ray import Cluster, RayBackend, RaySettings
from tests.contracts.live_rig import LiveRig


@cache
def cluster() -> Cluster:
    """Start the raylets and join them, once."""
    stack = ExitStack()
    atexit.register(stack.close)
    pool = stack.enter_context(raylets([Wanted(id="r0", cpus=3), Wanted(id="r1")]))
    joined = Cluster(pool.address, RaySettings(probe=False))
    joined.shared = True
    stack.callback(joined.close)
    return joined


class RayRig(LiveRig):
    """The Ray backend, with the listener of the local one: outcomes are kept in memory."""

    def __init__(self, folder: Path) -> None:
        self._payloads = {}
        self.outcomes = []
        for name in ("checkpoints", "logs"):
            (folder / name).mkdir()
        base_s = time.time() - time.monotonic()
        self.ray = RayBackend(
            folder / "checkpoints", folder / "logs", self, lambda: base_s + time.monotonic(), cluster()
        )
        self.backend = self.ray

    def lose(self, resource_id: str) -> None:
        """Kill the worker processes of a node."""
        for where, pid in self.ray.pids().values():
            if where == resource_id:
                os.kill(pid, signal.SIGKILL)

    def close(self) -> None:
        self.ray.close()
