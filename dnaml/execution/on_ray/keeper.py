"""The process that keeps raylets of this machine: `python -m dnaml.execution.on_ray.keeper HOST:PORT`.

It loads Ray's code once, starts and ends raylets that join the cluster at that address, as lines of JSON on its input
ask, and answers each line with one. Its raylets end with it, and it ends when its input closes.
"""

import os
import sys
from pathlib import Path
from typing import Any

import msgspec

OBJECT_STORE_BYTES = 80 << 20


class Add(msgspec.Struct, tag="add"):
    """Start a raylet that is labelled as the resource `id`."""

    id: str
    cpus: int
    labels: dict[str, str]
    amounts: dict[str, float]


class Remove(msgspec.Struct, tag="remove"):
    """End a raylet; one that is not there is not an error."""

    id: str


class Look(msgspec.Struct, tag="look"):
    """Say whether every process of a raylet lives."""

    id: str


class Answer(msgspec.Struct):
    """What came of a request: `error` is empty where it was carried out."""

    ok: bool = True
    error: str = ""


Asked = Add | Remove | Look


class Keeper:
    """Holds the raylets that were started."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._nodes: dict[str, Any] = {}  # Any: ray's Node has no types

    def answer(self, asked: Asked) -> Answer:
        """Carry out one request."""
        if isinstance(asked, Look):
            node = self._nodes.get(asked.id)
            return Answer(ok=node is not None and node.remaining_processes_alive())
        try:
            self._add(asked) if isinstance(asked, Add) else self._remove(asked.id)
        except Exception as error:  # noqa: BLE001  # Ray raises it bare where a node does not start in time
            return Answer(ok=False, error=" ".join(str(error).split()) or type(error).__name__)
        return Answer()

    def _add(self, asked: Add) -> None:
        from ray._private.node import Node  # what ray.cluster_utils does: there is no public call for it
        from ray._private.parameter import RayParams

        parameters: Any = RayParams(
            gcs_address=self._address,
            redis_address=self._address,
            num_cpus=asked.cpus,
            num_gpus=0,
            labels={"dnaml-id": asked.id, **asked.labels},
            resources=asked.amounts or None,
            object_store_memory=OBJECT_STORE_BYTES,
            min_worker_port=0,
            max_worker_port=0,
            node_manager_port=0,
            include_dashboard=False,
        )
        parameters.dashboard_agent_listen_port = None
        parameters.include_log_monitor = False  # one for each machine is enough, and the first node has it
        self._nodes[asked.id] = Node(parameters, head=False, shutdown_at_exit=True, spawn_reaper=True)

    def _remove(self, node_id: str) -> None:
        node = self._nodes.pop(node_id, None)
        if node is not None:
            node.kill_all_processes(check_alive=False, allow_graceful=True, wait=True)

    def close(self) -> None:
        """End every raylet."""
        for node_id in list(self._nodes):
            self._remove(node_id)


def main() -> None:
    """Answer requests until the input ends."""
    sys.path[:0] = [path for path in os.environ.pop("DNAML_PATH", "").split(os.pathsep) if Path(path).exists()]
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # whatever Ray prints is no answer
    decoder: msgspec.json.Decoder[Asked] = msgspec.json.Decoder(Asked)
    keeper = Keeper(sys.argv[1])
    try:
        from ray._private import node as _loaded  # noqa: F401  # before the first request, which then takes less time

        answers.write(msgspec.json.encode(Answer()) + b"\n")
        for line in sys.stdin.buffer:
            answers.write(msgspec.json.encode(keeper.answer(decoder.decode(line))) + b"\n")
    except ImportError as error:
        answers.write(msgspec.json.encode(Answer(ok=False, error=str(error))) + b"\n")
    finally:
        keeper.close()


if __name__ == "__main__":
    main()
