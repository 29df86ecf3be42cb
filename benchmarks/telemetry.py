"""What telemetry costs: sampling five real processes at 10 Hz beside psutil's two ways, and profiling a resource.

Costs are processor time of the sampling thread, back to back (warm caches) and in a real 10 Hz loop (cold caches, the
waking itself included; an empty loop stands beside). `python -m benchmarks.telemetry [--quick] [--json]`.
"""

import contextlib
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import psutil

from benchmarks.report import Row, main
from dnaml.core.reference import RATES
from dnaml.datasets.samples import SampleStore
from dnaml.telemetry.attempt import TreeSampler
from dnaml.telemetry.profile import profile_resource
from dnaml.telemetry.sampler import Sampler, Source

_RATE_HZ = 10.0
_BAR_PERCENT = 0.1
_PROFILE_BAR_S = 5.0
_WORK = "import time\nwhile True:\n    sum(range(20000))\n    time.sleep(0.005)"
_TREE = (
    "import subprocess, sys\n"
    f"children = [subprocess.Popen([sys.executable, '-c', {_WORK!r}]) for _ in range(4)]\n"
    "print('up', flush=True)\n"
    f"exec({_WORK!r})"
)

Sample = Callable[[], object]


@contextlib.contextmanager
def five_processes() -> Iterator[int]:
    """Yield the root of a tree of five processes that each work and wait in turn; ends them all."""
    root = subprocess.Popen([sys.executable, "-c", _TREE], stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert root.stdout is not None
        root.stdout.readline()
        yield root.pid
    finally:
        os.killpg(root.pid, signal.SIGKILL)
        root.communicate()


def psutil_walk(pid: int) -> Sample:
    """Return a sampler as psutil's documentation writes it: walk the tree, ask each process, ask the system."""

    def sample() -> object:
        root = psutil.Process(pid)
        found = [
            (p.cpu_times(), p.memory_info(), p.io_counters(), p.num_ctx_switches())
            for p in [root, *root.children(recursive=True)]
        ]
        return found, psutil.cpu_times(), psutil.virtual_memory(), psutil.disk_io_counters(), psutil.net_io_counters()

    return sample


def psutil_cached(pid: int) -> Sample:
    """Return psutil's cheap way: the tree is walked once, each process is asked in one shot."""
    root = psutil.Process(pid)
    tree = [root, *root.children(recursive=True)]

    def sample() -> object:
        found = []
        for p in tree:
            with p.oneshot():
                found.append((p.cpu_times(), p.memory_info(), p.io_counters()))
        return found

    return sample


def cost_back_to_back_us(sample: Sample, samples: int) -> float:
    """Return processor microseconds a sample: the median of five batches run without a pause."""
    sample()
    costs = []
    for _ in range(5):
        begin_s = time.thread_time()
        for _ in range(samples // 5):
            sample()
        costs.append((time.thread_time() - begin_s) / (samples // 5) * 1e6)
    return statistics.median(costs)


def cost_of_loop_us(sample: Sample, seconds: float) -> float:
    """Return processor microseconds a round of a thread that samples at 10 Hz, the waiting included."""
    spent: list[float] = []

    def loop() -> None:
        sample()
        begin_s, end_s, rounds = time.thread_time(), time.monotonic() + seconds, 0
        while time.monotonic() < end_s:
            time.sleep(1.0 / _RATE_HZ)
            sample()
            rounds += 1
        spent.append((time.thread_time() - begin_s) / rounds * 1e6)

    thread = threading.Thread(target=loop)
    thread.start()
    thread.join()
    return spent[0]


def cost_of_sampler_us(pid: int, seconds: float) -> float:
    """Return processor microseconds a round of dnaml's own thread at 10 Hz: waking, sampling, checking, storing."""
    with (
        tempfile.TemporaryDirectory() as folder,
        SampleStore(Path(folder) / "samples.sqlite") as store,
        TreeSampler(pid) as tree,
        Sampler(store, period_s=1.0 / _RATE_HZ) as sampler,
    ):
        sampler.add(Source(resource_id="local", attempt_id="a", collector=tree))
        threading.Event().wait(seconds)
        begin_s = time.thread_time()
        sampler.stop()  # writes in this thread what was not written yet
        written_s = time.thread_time() - begin_s
        return (sampler.cost_s + written_s) / sampler.samples_taken * 1e6


def _percent(cost_us: float) -> float:
    return cost_us * 1e-6 * _RATE_HZ * 100.0


def sampler_rows(quick: bool) -> list[Row]:
    """Return the cost of sampling five processes, beside psutil's."""
    samples, seconds = (500, 8.0) if quick else (2500, 20.0)
    with five_processes() as pid, TreeSampler(pid) as paced, TreeSampler(pid, full_every_s=0.0) as full:
        ways: dict[str, Sample] = {
            "dnaml": partial(_paced, paced, [0]),
            "every counter every time": full.sample,
            "psutil, tree walked each time": psutil_walk(pid),
            "psutil, tree cached, oneshot": psutil_cached(pid),
        }
        warm = {name: cost_back_to_back_us(sample, samples) for name, sample in ways.items()}
        ways["nothing (the waking alone)"] = lambda: None
        del ways["dnaml"]
        loops: dict[str, Callable[[], float]] = {
            "dnaml, storing included": partial(cost_of_sampler_us, pid, seconds),
            **{name: partial(cost_of_loop_us, sample, seconds) for name, sample in ways.items()},
        }
        rounds = [{name: loop() for name, loop in loops.items()} for _ in range(3)]
        cold = {name: statistics.median(costs[name] for costs in rounds) for name in loops}
    peer = "psutil, tree cached, oneshot"
    asked = {"unit": "% of a core", "bar": _BAR_PERCENT, "peer": peer}
    return [
        Row(
            id="T1.sample",
            metric="sampling 5 processes at 10 Hz, back to back",
            value=_percent(warm["dnaml"]),
            peer_value=_percent(warm[peer]),
            note=_list(warm),
            **asked,  # type: ignore[arg-type]
        ),
        Row(
            id="T1.loop",
            metric="the sampler's thread at 10 Hz, waking and storing included",
            value=_percent(cold["dnaml, storing included"]),
            peer_value=_percent(cold[peer]),
            note=_list(cold),
            **asked,  # type: ignore[arg-type]
        ),
    ]


def _paced(tree: TreeSampler, taken: list[int]) -> object:
    """Sample as at 10 Hz, where every fiftieth sample is a full one."""
    taken[0] += 1
    return tree.sample(full=taken[0] % 50 == 0)


def _list(costs_us: dict[str, float]) -> str:
    return "us a sample: " + "; ".join(f"{name} {cost:.0f}" for name, cost in costs_us.items())


def profile_rows(quick: bool) -> list[Row]:
    """Return how long a profile takes and how much its probes vary from profile to profile."""
    profiles, walls = [], []
    before = os.times()
    for _ in range(3 if quick else 8):
        begin_s = time.perf_counter()
        profiles.append(profile_resource("local"))
        walls.append(time.perf_counter() - begin_s)
    after = os.times()
    cpu_s = (after.children_user + after.children_system - before.children_user - before.children_system) / len(walls)
    contention = statistics.median(p.spec["contention"] for p in profiles)
    rows = [
        Row(
            id="T2.profile",
            metric="a whole profile of one resource, elapsed, median",
            value=statistics.median(walls),
            unit="s",
            bar=_PROFILE_BAR_S,
            note=f"processor time {cpu_s:.2f} s; elapsed over processor time of the probes {contention:.2f}; "
            f"longest of {len(walls)}: {max(walls):.2f} s",
        )
    ]
    for key in (*RATES, "latency_s", "startup_s"):
        values = [p.spec[key] for p in profiles if key in p.spec]
        if len(values) < 2:
            rows.append(Row(id=f"T2.cv.{key}", metric="CV", value=None, unit="%", note="the probe could not run here"))
            continue
        mean = statistics.fmean(values)
        spread = statistics.median(p.spec[f"{key}_spread"] for p in profiles)
        rows.append(
            Row(
                id=f"T2.cv.{key}",
                metric="variation between profiles (CV)",
                value=statistics.stdev(values) / mean * 100.0,
                unit="%",
                note=f"mean {mean:.4g}, spread of the three repeats within a profile {spread:.1%}",
            )
        )
    return rows


def measure(quick: bool) -> Sequence[Row]:
    """Return every row."""
    return [*sampler_rows(quick), *profile_rows(quick)]


if __name__ == "__main__":
    sys.exit(main("telemetry", measure))
