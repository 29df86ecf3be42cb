"""`python -m benchmarks.faults.hollow_service FOLDER COUNT`: the service on nodes whose agents call from elsewhere.

It is `dnaml serve --engine ray` but for Ray itself, which is not in the path of what agents and engine say to each
other. The first line it prints tells where agents call, the second where clients do.
"""

import json
import resource
import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from dnaml.datasets.state import StateFolder
from dnaml.engine import EngineSettings
from dnaml.execution.local import Listener, NowS
from dnaml.execution.on_ray import RayBackend, RaySettings, gateway
from dnaml.rest.run import run_service
from dnaml.rest.settings import ServiceSettings

_USUAL_FILES = 1024
"""what a process may have open on most systems unless it asks for more"""


class HollowCluster:
    """Stands where the engine has its handle on a Ray cluster, and knows so many nodes."""

    def __init__(self, count: int, *, ready_s: float = 60.0) -> None:
        self.address, self.token, self.own, self.shared = "hollow", b"h" * 32, False, False
        self.settings = RaySettings(probe=False, ready_s=ready_s, may_be_empty=not count)
        self.nodes = gateway.Nodes({f"node-h{number}": f"h{number}" for number in range(count)}, {}, {})
        self.door: socket.socket | None = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.line, self._far = socket.socketpair()

    def read(self) -> Iterator[gateway.FromGateway]:
        """Yield nothing: no gateway speaks."""
        return iter(())

    def close(self) -> None:
        """Close the door."""
        for each in (self.door, self.line, self._far):
            if each is not None:
                each.close()


def serve(folder: Path, count: int) -> None:
    """Serve until SIGTERM, with as many open files allowed at first as systems usually do."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(_USUAL_FILES, hard), hard))
    cluster = HollowCluster(count)
    assert cluster.door is not None
    print(json.dumps({"port": cluster.door.getsockname()[1], "token": cluster.token.hex()}), flush=True)

    def open_backend(state: StateFolder, listener: Listener, now_s: NowS) -> RayBackend:
        return RayBackend(state.checkpoints, state.logs, listener, now_s, cluster)  # type: ignore[arg-type]  # it has what the back end asks of a cluster

    class Settings(ServiceSettings):
        def of_engine(self) -> EngineSettings:
            return replace(ServiceSettings.of_engine(self), open_backend=open_backend)

    settings = Settings(state=folder / "state", root=folder, port=0, resources=(), allow_argv=True)
    run_service(settings, told=lambda line: print(line, flush=True))


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]))
