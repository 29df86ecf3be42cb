"""R1: no-op tasks a second on nodes that dnaml chose, beside Ray's own tasks on the same four raylets."""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dnaml
from benchmarks.ray_pool import RayPool, Wanted, raylets
from benchmarks.report import Op, Row
from benchmarks.tasks import noop
from dnaml.engine import EngineSettings
from dnaml.execution.on_ray import RaySettings, on_ray
from dnaml.submission import Call

BAR_RATIO = 2.0
NODES = tuple(f"n{number}" for number in range(4))

# A driver of its own, as Ray users have one; told how many tasks and rounds, it prints tasks a second, a line a round.
_RAY_DRIVER = """
import sys, time, ray
ray.init(address=sys.argv[1], log_to_driver=False, logging_level="ERROR")
@ray.remote
def noop(number):
    return number
count = int(sys.argv[2])
ray.get([noop.remote(i) for i in range(count)])
print("warm", flush=True)
for line in sys.stdin:
    began = time.perf_counter()
    ray.get([noop.remote(i) for i in range(count)])
    print(count / (time.perf_counter() - began), flush=True)
"""


def rows(quick: bool) -> list[Row]:
    """Return both rates and their ratio, pair by pair in turns."""
    tasks, rounds = (1000, 3) if quick else (4000, 7)
    with raylets([Wanted(id=name) for name in NODES]) as pool:
        ours, peers, used = measured(pool, tasks, rounds)
    ratio = statistics.median(our / peer for our, peer in zip(ours, peers, strict=True))
    note = f"{rounds} rounds of {tasks} in turns; nodes used: {', '.join(f'{n} {c}' for n, c in sorted(used.items()))}"
    return [
        Row(
            id="R1",
            metric="no-op tasks a second on nodes chosen by dnaml over Ray's own tasks",
            value=ratio,
            unit="x",
            op=Op.AT_LEAST,
            bar=BAR_RATIO,
            note=note,
        ),
        Row(
            id="R1.rate",
            metric="no-op tasks a second, every one decided, journaled and committed once",
            value=statistics.median(ours),
            unit="1/s",
            op=Op.AT_LEAST,
            peer="Ray tasks",
            peer_value=statistics.median(peers),
        ),
    ]


def measured(pool: RayPool, tasks: int, rounds: int) -> tuple[list[float], list[float], dict[str, int]]:
    """Return tasks a second of dnaml and of Ray, round by round, and how many dnaml sent where."""
    ours, peers = [], []
    with _ray_driver(pool.address, tasks) as driver, tempfile.TemporaryDirectory() as folder:
        settings = EngineSettings(open_backend=on_ray(pool.address, RaySettings(probe=False)))
        with dnaml.Executor(state=Path(folder), settings=settings) as executor:
            ours_per_s(executor, tasks)
            for number in range(rounds):
                for which in (0, 1) if number % 2 else (1, 0):
                    ours.append(ours_per_s(executor, tasks)) if which else peers.append(_peer_per_s(driver))
            used = _used(executor)
    return ours, peers, used


def ours_per_s(executor: dnaml.Executor, tasks: int) -> float:
    """Return no-ops a second, from the first submission to the last result."""
    began_s = time.perf_counter()
    calls: list[Call[int]] = [Call(fn=noop, args=(number,)) for number in range(tasks)]
    for future in executor.submit_all(calls):
        future.result()
    return tasks / (time.perf_counter() - began_s)


def _used(executor: dnaml.Executor) -> dict[str, int]:
    from dnaml.history import History

    used: dict[str, int] = {}
    for job in History.read(executor.state).jobs.values():
        for attempt in job.attempts:
            used[attempt.placement.resource_id] = used.get(attempt.placement.resource_id, 0) + 1
    return used


@contextmanager
def _ray_driver(address: str, tasks: int) -> Iterator["subprocess.Popen[str]"]:
    arguments = [sys.executable, "-c", _RAY_DRIVER, address, str(tasks)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout is not None
        if driver.stdout.readline().strip() != "warm":
            raise RuntimeError("Ray's own driver did not start")
        try:
            yield driver
        finally:
            driver.kill()


def _peer_per_s(driver: "subprocess.Popen[str]") -> float:
    assert driver.stdin is not None
    assert driver.stdout is not None
    driver.stdin.write("go\n")
    driver.stdin.flush()
    return float(driver.stdout.readline())
