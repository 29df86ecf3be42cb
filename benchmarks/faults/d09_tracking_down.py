"""D9: the tracking server refuses, never answers, or answers nonsense; work is scheduled as fast as without tracking.

The servers are real sockets on loopback. Cost is what the process used, so that a busy machine does not count.
"""

import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from benchmarks.faults.calls import waits
from benchmarks.faults.local_case import executor_on, resources, seen
from benchmarks.faults.outcome import Bar, Outcome, Tier
from dnaml import logbook

ID = "D9"
RUNS = {Tier.QUICK: 3, Tier.SOAK: 30}
_JOBS, _WARM = 300, 60
_SPOOL_BYTES, _CLOSE_S = 32 << 20, 0.5


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Run batches of jobs beside each kind of broken server and beside none, in turn; compare processor time."""
    used_s: dict[str, list[float]] = {name: [] for name in ("none", *_SERVERS)}
    lost = doubled = 0
    spooled = longest_s = 0.0
    (folder / "first").mkdir()
    _batch(folder / "first", _refuses)  # imports what tracking needs, once
    for run in range(runs):
        for name, times in used_s.items():
            where = folder / f"{name}-{run}"
            where.mkdir()
            cpu_s, close_s = _batch(where, _SERVERS.get(name))
            times.append(cpu_s)
            longest_s = max(longest_s, close_s)
            told = seen(where)
            lost, doubled = lost + told.lost(), doubled + told.doubled + told.stale
            spool = where / "state" / "mlflow-spool"
            spooled = max(spooled, float(sum(path.stat().st_size for path in spool.rglob("*") if path.is_file())))
    least = statistics.median(used_s["none"])
    changed = max(statistics.median(used_s[name]) for name in _SERVERS) / least - 1.0
    return Outcome(
        id=ID,
        seed=seed,
        runs=runs * len(_SERVERS),
        what="a tracking server that refuses, hangs or answers nonsense",
        lost=lost,
        duplicated=doubled,
        figures=(
            Bar(name="processor_time_added", value=100.0 * changed, unit="%", bar=5.0),
            Bar(name="spooled_bytes_most", value=spooled, unit="bytes", bar=float(_SPOOL_BYTES)),
            Bar(name="longest_close", value=longest_s, unit="s", bar=_CLOSE_S + 5.0),
        ),
        extra={f"cpu_s_{name}": statistics.median(times) for name, times in used_s.items()},
    )


def _batch(folder: Path, server: "Callable[[ExitStack], str] | None") -> tuple[float, float]:
    """Return the processor seconds of this process for a batch, and the seconds that closing took."""
    with ExitStack() as stack:
        if server is not None:
            logbook.autolog(server(stack))
            logbook._chosen[:] = [replace(logbook._chosen[0], send_every_s=0.2, close_s=_CLOSE_S)]
            stack.callback(logbook.autolog, disable=True)
        with executor_on(folder, resources(2)) as executor:
            for future in [executor.submit(waits, 0.0, -number) for number in range(_WARM)]:
                future.result(120)
            began_s = time.process_time()
            futures = [executor.submit(waits, 0.0, number) for number in range(_JOBS)]
            assert [future.result(120) for future in futures] == list(range(_JOBS))
            used_s = time.process_time() - began_s
            ending_s = time.monotonic()
        return used_s, time.monotonic() - ending_s


def _refuses(stack: ExitStack) -> str:
    """Return an address at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


def _hangs(stack: ExitStack) -> str:
    """Return the address of a server that accepts and says nothing."""
    return stack.enter_context(_server(lambda peer: None))


def _talks_nonsense(stack: ExitStack) -> str:
    """Return the address of a server whose every answer is a success that holds no JSON."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n{]nope["
    return stack.enter_context(_server(lambda peer: peer.sendall(answer)))


_SERVERS: dict[str, Callable[[ExitStack], str]] = {
    "refuses": _refuses,
    "hangs": _hangs,
    "talks_nonsense": _talks_nonsense,
}


@contextmanager
def _server(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """Serve on a free port of loopback until the end, each connection as `answer` says."""
    peers: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    peer, _ = listener.accept()
                    peers.append(peer)
                    peer.recv(65536)
                    answer(peer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            for peer in peers:
                peer.close()
            thread.join(10)
