"""What the faults of links share: real agents in processes of their own, each behind a link that can be cut.

The agents are those that Ray starts on its nodes, and the engine is the whole one on the Ray back end; only Ray, which
is not in the path of what they say to each other, is left out, so that a case takes seconds.
"""

import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil

import dnaml
from benchmarks.faults.links import FaultyLink
from benchmarks.faults.ray_case import warm
from dnaml.datasets.state import StateFolder
from dnaml.engine import EngineSettings
from dnaml.execution.local import Listener, NowS
from dnaml.execution.on_ray import RayBackend, RaySettings, gateway, wire

NAMES = ("n0", "n1", "n2")
VICTIM = "n2"
SETTINGS = RaySettings(probe=False)
_AGENT = (
    "import sys, msgspec\n"
    "from dnaml.execution.on_ray.agent import Agent\n"
    "from dnaml.execution.on_ray.wire import Plan\n"
    "Agent(msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Plan)).serve()\n"
)


class Agents:
    """Stands where the engine has its handle on a Ray cluster: the nodes are agent processes, started here."""

    def __init__(self, names: Sequence[str], *, bytes_per_s: float = 0.0, reset_share: float = 0.0, seed: int = 0):
        self.address, self.settings, self.token = "agents", SETTINGS, b"t" * 32
        self.own, self.shared = False, False
        self.nodes = gateway.Nodes({f"node-{name}": name for name in names}, {}, {})
        self.door: socket.socket | None = socket.create_server(("127.0.0.1", 0))
        self.line, self._far = socket.socketpair()
        target = ("127.0.0.1", int(self.door.getsockname()[1]))
        self.links = {
            name: FaultyLink(target, bytes_per_s=bytes_per_s, reset_share=reset_share, seed=seed + number)
            for number, name in enumerate(names)
        }
        self.processes = {name: self._start(name) for name in names}

    def read(self) -> Iterator[gateway.FromGateway]:
        """Yield nothing: no gateway speaks."""
        return iter(())

    def close(self) -> None:
        """End every agent and every link."""
        for process in self.processes.values():
            process.kill()
            process.wait()
        for link in self.links.values():
            link.close()
        for each in (self.door, self.line, self._far):
            if each is not None:
                each.close()

    def _start(self, name: str) -> "subprocess.Popen[bytes]":
        plan = wire.Plan(
            node_id=f"node-{name}",
            resource_id=name,
            hostname=name,
            labels={},
            amounts={"CPU": 1.0},
            host="127.0.0.1",
            port=self.links[name].port,
            token=self.token,
            paths=tuple(path for path in (*sys.path, str(Path.cwd())) if path),
            local=self.settings.local,
            timing=self.settings.timing,
            probe=False,
        )
        process = subprocess.Popen([sys.executable, "-c", _AGENT], stdin=subprocess.PIPE)
        assert process.stdin is not None
        process.stdin.write(msgspec.msgpack.encode(plan))
        process.stdin.close()
        return process


@dataclass(frozen=True, slots=True)
class Linked:
    """An executor on agents behind links."""

    executor: dnaml.Executor
    agents: Agents

    @property
    def link(self) -> FaultyLink:
        """Return the victim's link."""
        return self.agents.links[VICTIM]

    def worker(self) -> psutil.Process:
        """Return the process that runs the victim's attempt."""
        (pid,) = [pid for where, pid in self.executor.running().values() if where == VICTIM]
        return psutil.Process(pid)


@contextmanager
def linked(
    folder: Path, *, bytes_per_s: float = 0.0, reset_share: float = 0.0, seed: int = 0, names: Sequence[str] = NAMES
) -> Iterator[Linked]:
    """Start the agents and an executor on them, every one warm."""
    with ExitStack() as stack:
        agents = Agents(names, bytes_per_s=bytes_per_s, reset_share=reset_share, seed=seed)
        stack.callback(agents.close)

        def open_backend(state: StateFolder, listener: Listener, now_s: NowS) -> RayBackend:
            return RayBackend(state.checkpoints, state.logs, listener, now_s, agents)  # type: ignore[arg-type]  # it has what the back end asks of a cluster

        settings = EngineSettings(open_backend=open_backend)
        executor = stack.enter_context(dnaml.Executor(state=folder / "state", settings=settings))
        warm(executor, names)
        yield Linked(executor, agents)
