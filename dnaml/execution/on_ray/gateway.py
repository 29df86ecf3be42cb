"""The process that is Ray's driver, so that the engine is not: `python -m dnaml.execution.on_ray.gateway FD`.

A driver ends with Ray's control store and takes its process along; the engine only loses this one. It joins or starts
the cluster, keeps one agent actor pinned to every node, and tells which nodes there are.
"""

import contextlib
import os
import secrets
import socket
import sys
import threading
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec

from dnaml.execution.messages import FrameReader, framed

OLDEST = (2, 50)
_POLL_S = 0.25
_REACH_S = 3.0
_SILENT_S = 3.0
_OBJECT_STORE_BYTES = 80 << 20
_HTTP2_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
_HTTP2_SETTINGS = b"\x04"


class Join(msgspec.Struct, tag="join"):
    """Engine to gateway: join the cluster at an address, or start one here ("local")."""

    address: str
    folder: str
    cpus: int | None = None


class Attach(msgspec.Struct, tag="attach"):
    """Engine to gateway: give every node an agent; `plan` is an encoded Plan without its node."""

    plan: bytes


class Request(msgspec.Struct, tag="request"):
    """Engine to gateway: ask Ray's autoscaler that these bundles fit, whatever is there now."""

    bundles: list[dict[str, float]]


class Loaded(msgspec.Struct, tag="loaded"):
    """Gateway to engine: Ray is there, in this version."""

    version: str


class Joined(msgspec.Struct, tag="joined"):
    """Gateway to engine: connected; agents reach this machine at `host`; `own` clusters were started here."""

    host: str
    address: str
    own: bool


class Refused(msgspec.Struct, tag="refused"):
    """Gateway to engine: it cannot be, because; `missing` says that Ray is not installed."""

    reason: str
    missing: bool = False


class Nodes(msgspec.Struct, tag="nodes"):
    """Gateway to engine: the living nodes (Ray id -> resource id), those to be gone at a time, agents that failed."""

    alive: dict[str, str]
    leaving: dict[str, float]
    failed: dict[str, str]


class ControlLost(msgspec.Struct, tag="control_lost"):
    """Gateway to engine: Ray's control store does not answer."""

    reason: str


class ControlBack(msgspec.Struct, tag="control_back"):
    """Gateway to engine: it answers again."""


ToGateway = Join | Attach | Request
FromGateway = Loaded | Joined | Refused | Nodes | ControlLost | ControlBack

encode = msgspec.msgpack.Encoder().encode
_to_gateway: msgspec.msgpack.Decoder[ToGateway] = msgspec.msgpack.Decoder(ToGateway)
_from_gateway: msgspec.msgpack.Decoder[FromGateway] = msgspec.msgpack.Decoder(FromGateway)


def decode(body: bytes) -> FromGateway:
    """Return what the gateway said."""
    message: FromGateway = _from_gateway.decode(body)
    return message


@dataclass(slots=True)
class Hand:
    """One node's agent actor, and when it may be started again after it failed."""

    reference: Any  # a ray ObjectRef
    actor: Any
    failures: int = 0
    again_s: float = 0.0


class AgentActor:
    """What Ray starts on a node; travels by value, so that a node without dnaml can say so."""

    def serve(self, plan: bytes) -> str:
        """Be the agent of this node until it ends; return why it did."""
        import msgspec as codec

        from dnaml.execution.on_ray.agent import Agent
        from dnaml.execution.on_ray.wire import Plan

        return Agent(codec.msgpack.decode(plan, type=Plan)).serve()


class Gateway:
    """Serves the engine at the other end of a socket pair."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._reader = FrameReader()
        self._plan = b""
        self._hands: dict[str, Hand] = {}
        self._reasons: dict[str, str] = {}
        self._told: tuple[Any, ...] = ()
        self._own = False
        self._telling = threading.Lock()
        self._lost = threading.Event()

    # -- starting ----------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Join, then watch until the engine hangs up."""
        join = self._await(Join)
        if find_spec("ray") is None:
            self._tell(Refused("Ray is not installed", missing=True))
            return
        try:
            if join.address not in ("auto", "local"):
                reach(join.address)  # before Ray's code is loaded, which takes longer
            import ray

            self._tell(Loaded(ray.__version__))
            check_version(ray.__version__)
            host, address = self._join(ray, join)
        except (ConnectionError, ImportError, RuntimeError, ValueError, OSError) as error:
            self._tell(Refused(f"no Ray cluster at {join.address}: {' '.join(str(error).split())}"))
            return
        self._tell(Joined(host, address, self._own))
        self._plan = self._await(Attach).plan
        threading.Thread(target=self._listen, args=(ray,), daemon=True).start()
        self._watch(ray, address)

    def _join(self, ray: Any, join: Join) -> tuple[str, str]:
        """Connect; return how agents reach this machine and where the control store is."""
        quiet = {"log_to_driver": False, "logging_level": "ERROR", "namespace": f"dnaml-{secrets.token_hex(4)}"}
        self._own = join.address == "local"
        if self._own:
            given = {"num_cpus": join.cpus, "_temp_dir": join.folder, "include_dashboard": False}
            ray.init(address="local", object_store_memory=_OBJECT_STORE_BYTES, **given, **quiet)
        else:
            ray.init(address=join.address, **quiet)
        address = ray.get_runtime_context().gcs_address
        return ("127.0.0.1" if self._own else str(ray.util.get_node_ip_address())), str(address)

    # -- watching ----------------------------------------------------------------------------------------------------

    def _watch(self, ray: Any, address: str) -> None:
        """Look at the nodes four times a second; while the control store is gone nothing is asked of it."""
        threading.Thread(target=self._guard, args=(address,), daemon=True).start()
        while True:
            if self._lost.is_set():
                time.sleep(_POLL_S)
                continue
            self._look(ray)
            self._wait(ray)

    def _guard(self, address: str) -> None:
        """Tell when the control store is gone and when it is back; Ray's own calls wait for it up to a minute."""
        reached_s = time.monotonic()
        while True:
            try:
                reach(address, 1.0)
            except OSError as error:
                if not self._lost.is_set() and time.monotonic() - reached_s > _SILENT_S:
                    self._lost.set()
                    self._tell(ControlLost(f"Ray's control store at {address} does not answer: {error}"))
                time.sleep(_POLL_S)
                continue
            reached_s = time.monotonic()
            if self._lost.is_set():
                self._lost.clear()
                self._tell(ControlBack())
            time.sleep(1.0)

    def _look(self, ray: Any) -> None:
        from dnaml.execution.on_ray.nodes import resource_id_of, takes_work

        alive = {node["NodeID"]: node for node in ray.nodes() if node["Alive"] and takes_work(node["Resources"])}
        for node_id in self._hands.keys() - alive.keys():
            del self._hands[node_id]
        for node_id, node in alive.items():
            hand = self._hands.get(node_id)
            if hand is None or (hand.reference is None and time.monotonic() >= hand.again_s):
                self._hands[node_id] = self._start(ray, node, hand.failures if hand else 0)
        names = {node_id: resource_id_of(node) for node_id, node in alive.items()}
        failed = {node_id: reason for node_id, reason in self._reasons.items() if node_id in alive}
        told = (names, self._leaving(alive), failed)
        if told != self._told:
            self._told = told
            self._tell(Nodes(*told))

    @staticmethod
    def _leaving(alive: dict[str, Any]) -> dict[str, float]:
        """Return the nodes that Ray drains, and when they will be gone (seconds since 1970)."""
        from ray._private.state import state

        with contextlib.suppress(AttributeError):  # private to Ray: a version without it tells by the node's end
            ends_ms: dict[str, int] = state.get_draining_nodes()
            return {node_id: end_ms / 1000 for node_id, end_ms in ends_ms.items() if node_id in alive}
        return {}

    def _start(self, ray: Any, node: dict[str, Any], failures: int) -> Hand:
        """Pin an agent to a node; soft=False, since a soft actor may land elsewhere."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        from dnaml.execution.on_ray.nodes import resource_id_of

        plan = msgspec.msgpack.decode(self._plan)
        amounts = {name: float(amount) for name, amount in node["Resources"].items()}
        plan |= {"node_id": node["NodeID"], "resource_id": resource_id_of(node), "amounts": amounts}
        plan |= {"hostname": node["NodeManagerHostname"], "labels": dict(node["Labels"])}
        pinned = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        actor = ray.remote(AgentActor).options(num_cpus=0, max_restarts=0, scheduling_strategy=pinned).remote()
        return Hand(actor.serve.remote(encode(plan)), actor, failures)

    def _wait(self, ray: Any) -> None:
        """Wait a moment; note the agents that ended and why."""
        references = {hand.reference: node_id for node_id, hand in self._hands.items() if hand.reference is not None}
        if not references:
            time.sleep(_POLL_S)
            return
        for reference in ray.wait(list(references), timeout=_POLL_S)[0]:
            node_id = references[reference]
            hand = self._hands[node_id]
            hand.reference = None
            hand.failures += 1
            hand.again_s = time.monotonic() + min(2.0**hand.failures, 60.0)
            try:
                self._reasons[node_id] = str(ray.get(reference))
            except ray.exceptions.RayError as error:
                self._reasons[node_id] = str(error).strip().splitlines()[-1]

    # -- talking -----------------------------------------------------------------------------------------------------

    def _tell(self, message: msgspec.Struct) -> None:
        try:
            with self._telling:
                self._line.sendall(framed(encode(message)))
        except OSError:
            self._leave()

    def _await(self, kind: "type[Any]") -> Any:  # Any: the one message that can come now
        while data := self._line.recv(65536):
            for frame in self._reader.feed(data):
                message = _to_gateway.decode(frame)
                if isinstance(message, kind):
                    return message
        self._leave()
        return None

    def _listen(self, ray: Any) -> None:
        """Carry out requests until the engine hangs up, which ends this process."""
        while data := self._line.recv(65536):
            for frame in self._reader.feed(data):
                message = _to_gateway.decode(frame)
                if isinstance(message, Request):
                    from ray.autoscaler.sdk import request_resources

                    request_resources(bundles=message.bundles)
        threading.Timer(5.0, self._leave).start()
        with contextlib.suppress(Exception):  # whatever Ray says at its end, this process ends
            ray.shutdown()
        self._leave()

    def _leave(self) -> None:
        """End now; an own cluster's processes end with this one."""
        os._exit(0)


def check_version(found: str) -> None:
    """Raise RuntimeError for a Ray that is too old."""
    if tuple(int(part) for part in found.split(".")[:2]) < OLDEST:
        raise RuntimeError(f"Ray must be {OLDEST[0]}.{OLDEST[1]} or later, got {found}")


def reach(address: str, timeout_s: float = _REACH_S) -> None:
    """Return when something that speaks Ray's protocol listens at host:port; raise ValueError or OSError otherwise.

    Ray's control store speaks HTTP/2, whose server greets at once: a port that only listens, or a frozen process,
    does not.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit() or "/" in host:
        raise ValueError(f"the address must be auto, local or HOST:PORT, got {address!r}")
    with socket.create_connection((host.strip("[]"), int(port)), timeout=timeout_s) as line:
        line.sendall(_HTTP2_GREETING)
        if not line.recv(9)[3:4] == _HTTP2_SETTINGS:
            raise ConnectionError("what listens there is not Ray's control store")


def main() -> None:
    """Serve on the socket whose descriptor is named on the command line."""
    sys.path[:0] = [path for path in os.environ.pop("DNAML_PATH", "").split(os.pathsep) if Path(path).exists()]
    Gateway(socket.socket(fileno=int(sys.argv[1]))).run()


if __name__ == "__main__":
    main()
