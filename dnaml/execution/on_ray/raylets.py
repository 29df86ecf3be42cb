"""Ray nodes that can be had on this machine: raylets that are started when scaling orders them.

They are `Nodes` for a `NodeProvider`: their agents call the engine, and they end when they are given back.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Mapping

import msgspec

from dnaml.core.resource import Resource
from dnaml.execution.on_ray import keeper
from dnaml.execution.on_ray.nodes import ID_LABEL


class Raylets:
    """Starts raylets on this machine that join the cluster at HOST:PORT; they end with this object."""

    def __init__(self, address: str) -> None:
        environment = {**os.environ, "DNAML_PATH": os.pathsep.join(p for p in sys.path if p)}
        self._child = subprocess.Popen(
            [sys.executable, "-m", "dnaml.execution.on_ray.keeper", address],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={**environment, "RAY_USAGE_STATS_ENABLED": "0"},
        )
        self._asking = threading.Lock()
        self._ready = False
        self._tokens: dict[str, str] = {}

    def wait(self) -> None:
        """Return once Ray's code is loaded: from then on a raylet takes no longer than it must."""
        self._answer(keeper.Look(id=""))

    def add(self, like: Resource, token: str) -> str:
        """Start a raylet whose id is the token; raises RuntimeError when Ray does not."""
        if token not in self._tokens:
            self._ask(keeper.Add(id=token, cpus=like.slots, labels=_labels(like), amounts={}))
            self._tokens[token] = token
        return token

    def remove(self, node_id: str) -> None:
        """End a raylet and everything it started."""
        self._tokens.pop(node_id, None)
        self._ask(keeper.Remove(id=node_id))

    def is_alive(self, node_id: str) -> bool:
        """Say whether every process of a raylet lives."""
        return node_id in self._tokens and self._answer(keeper.Look(id=node_id)).ok

    def started(self) -> Mapping[str, str]:
        """Return the raylets that were started and not removed."""
        return dict(self._tokens)

    def close(self) -> None:
        """End all raylets."""
        self._tokens.clear()
        if self._child.stdin is not None:
            self._child.stdin.close()
        self._child.wait()
        if self._child.stdout is not None:
            self._child.stdout.close()

    def _ask(self, what: keeper.Asked) -> None:
        answer = self._answer(what)
        if not answer.ok:
            raise RuntimeError(answer.error)

    def _answer(self, what: keeper.Asked) -> keeper.Answer:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        with self._asking:
            if not self._ready:
                first = self._read()
                if not first.ok:
                    return first
                self._ready = True
            self._child.stdin.write(msgspec.json.encode(what) + b"\n")
            self._child.stdin.flush()
            return self._read()

    def _read(self) -> keeper.Answer:
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        if not line:
            return keeper.Answer(ok=False, error="the process that keeps the raylets ended")
        return msgspec.json.decode(line, type=keeper.Answer)


def _labels(like: Resource) -> dict[str, str]:
    """Return a resource's labels as Ray takes them."""
    return {name: value for name, value in like.labels.items() if name != ID_LABEL}
