"""R4: how long calls wait for nodes that start when demand is forecast, over when nodes start once calls wait.

A day of a measured series of requests is replayed on raylets that scaling starts and ends; the forecast knows earlier
days. The other rule is that of Ray's autoscaler: order nodes for what waits, give back those not needed for a while.
A bin of the series, and a call, take half the time that a node needs to come, which is measured first: brief calls
would not wait for nodes but for each other. Waiting is what is beyond the start of a call on a free node.
"""

import math
import os
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import dnaml
from benchmarks.ray_pool import Wanted, raylets
from benchmarks.report import Row
from dnaml.core.events import Acquire, Command, Event, Release
from dnaml.core.plan import FloatArray
from dnaml.datasets.state import StateFolder
from dnaml.datasets.traces.series import demand as read_demand
from dnaml.engine import EngineSettings
from dnaml.execution.autoscaling import Autoscaler
from dnaml.execution.local import Listener, NowS
from dnaml.execution.on_ray import RayBackend, Raylets, RaySettings, on_ray
from dnaml.execution.providers.nodes import NodeProvider
from dnaml.history import History
from dnaml.scaling import Scaling
from dnaml.scaling.memory import Memory, remember
from dnaml.schedule.scaling import PoolView, Scaler

BAR = 0.3
DATA = Path(os.environ.get("DNAML_DATA", "../shared/data")) / "scheduling" / "demand"
SERIES, BINS_A_DAY, DAYS_BEFORE = "nyc_taxi_30min", 48, 10
QUICK_BINS, SETTLING_BINS = 22, 6
CALLS_A_BIN, PEAK_NODES, MOST_NODES = 1, 3.0, 5
LEAD_BINS = 2.0
BRIEF_CALLS = 15
RAY = RaySettings(probe=False, may_be_empty=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast the series is replayed, in seconds: what a node needs to come, and a call to begin on a free one."""

    lead_s: float
    begins_s: float = 0.0

    @property
    def bin_s(self) -> float:
        """Return the seconds of one bin."""
        return self.lead_s / LEAD_BINS

    @property
    def call_s(self) -> float:
        """Return the seconds of one call."""
        return self.bin_s / CALLS_A_BIN

    @property
    def node(self) -> dnaml.Resource:
        """Return what a node is like."""
        return dnaml.Resource(id="node", slots=1, price_usd_per_h=1.0, startup_s=self.lead_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """How one way of scaling did: seconds that each call waited, and how many nodes it started for how long."""

    waits_s: tuple[float, ...]
    nodes: int
    node_s: float


class WhenWaiting:
    """Orders a node for each call that waits beyond those on order, and gives back what three bins did not need.

    Ray fills one node before the next, so that those beyond the most calls at once fall idle. The engine here lets all
    take turns; which of the idle ones goes makes no difference.
    """

    def __init__(self, inner: Scaler, pace: Pace) -> None:
        self.template, self.usual_s, self.came = inner.template, pace.call_s, inner.came
        self._pace = pace
        self._at_once: deque[tuple[float, int]] = deque()
        self._full = False

    def observe(self, event: Event) -> None:
        """Take no notice: nothing is learned."""

    def decide(self, at_s: float, view: PoolView) -> tuple[Command, ...]:
        """Return what to order or give back now."""
        waiting = round(view.waiting_work_s / self._pace.call_s)
        idle = [machine.id for machine in view.machines if not machine.busy]
        needed = self._needed(at_s, len(view.machines) - len(idle) + waiting)
        more = min(waiting - len(idle) - view.coming, MOST_NODES - len(view.machines) - view.coming - view.leaving)
        if more > 0:
            acquire = Acquire(template=self.template.name, count=more, reason=f"{waiting} wait", until_s=at_s + 60.0)
            return (acquire,)
        spare = len(view.machines) + view.coming - needed
        return tuple(Release(resource_id=one, reason="idle") for one in idle[: max(0, spare)])

    def _needed(self, at_s: float, now: int) -> int:
        """Return the most calls at once in the last three bins, those of now among them."""
        self._at_once.append((at_s, now))
        since_s = at_s - 3 * self._pace.bin_s
        if self._at_once[0][0] >= since_s and not self._full:
            return MOST_NODES
        self._full = True
        while self._at_once[0][0] < since_s:
            self._at_once.popleft()
        return max(calls for _, calls in self._at_once)


def rows(quick: bool) -> list[Row]:
    """Return the ratio of the waiting, beside what either way cost."""
    if not DATA.is_dir():
        return [Row(id="R4", metric="waiting for nodes", value=None, unit="x", note=f"no data in {DATA}")]
    calls, before = series()
    calls = calls[:QUICK_BINS] if quick else calls
    with raylets([Wanted(id="head", cpus=0)]) as pool:
        pace = pace_of(pool.address)
        ours = replayed(pool.address, pace, calls, before, None)
        theirs = replayed(pool.address, pace, calls, before, WhenWaiting)
    ratio = sum(ours.waits_s) / sum(theirs.waits_s)
    note = (
        f"{SERIES}, {len(calls)} bins as {pace.bin_s:.1f} s each, {sum(calls)} calls; nodes started {ours.nodes} / "
        f"{theirs.nodes}, node seconds {ours.node_s:.0f} / {theirs.node_s:.0f}; on a free node a call begins in "
        f"{pace.begins_s * 1e3:.0f} ms, which is no waiting; "
        f"longest wait {max(ours.waits_s):.1f} / {max(theirs.waits_s):.1f} s"
    )
    return [
        Row(
            id="R4",
            metric="waiting for nodes, forecast over reactive, real raylets",
            value=ratio,
            unit="x",
            bar=BAR,
            note=note,
        ),
        Row(
            id="R4.wait",
            metric="mean seconds that a call waits",
            value=float(np.mean(ours.waits_s)),
            unit="s",
            peer="reactive",
            peer_value=float(np.mean(theirs.waits_s)),
        ),
    ]


def series() -> tuple[list[int], list[int]]:
    """Return the calls in each bin of one day, and in each bin of the days before."""
    values: FloatArray = read_demand(DATA, SERIES).values[: (DAYS_BEFORE + 1) * BINS_A_DAY]
    calls = np.round(values / values.max() * PEAK_NODES * CALLS_A_BIN).astype(int)
    return calls[-BINS_A_DAY:].tolist(), calls[:-BINS_A_DAY].tolist()


def pace_of(address: str) -> Pace:
    """Return the seconds from the order of as many nodes as the peak needs until the first call of each ended.

    Then brief calls follow on one of them, one after the other: half of them begin within `begins_s`.
    """
    with tempfile.TemporaryDirectory() as folder, closing(Raylets(address)) as nodes:
        settings = EngineSettings(open_backend=on_ray(address, RAY))
        with dnaml.Executor(state=Path(folder), settings=settings) as executor:
            nodes.wait()
            began_s = time.monotonic()

            def came_s(number: int) -> float:
                name = nodes.add(dnaml.Resource(id="like", slots=1), f"lead-{number}")
                pinned = executor.options(constraints=dnaml.Constraints(resource_ids=(name,)))
                pinned.submit(time.sleep, 0.0).result(600.0)
                return time.monotonic() - began_s

            count = round(PEAK_NODES)
            with ThreadPoolExecutor(count) as orders:
                lead_s = max(orders.map(came_s, range(count)))
            brief = []
            for _ in range(BRIEF_CALLS):
                future = executor.submit(time.sleep, 0.0)
                future.result(600.0)
                brief.append(future.job_id)
        return Pace(lead_s=lead_s, begins_s=float(np.median(began_after_s(Path(folder), brief))))


def began_after_s(state: Path, names: Iterable[str]) -> list[float]:
    """Return the seconds from the submission of each job until it began."""
    jobs = History.read(state).jobs
    return [jobs[name].attempts[0].started_at_s - jobs[name].job.submitted_at_s for name in names]


def replayed(
    address: str,
    pace: Pace,
    calls: Sequence[int],
    before: Sequence[int],
    rule: Callable[[Scaler, Pace], WhenWaiting] | None,
) -> Replayed:
    """Return what a day showed under the forecast, or under another rule."""
    plan = Scaling(
        machines=(pace.node,),
        bin_s=pace.bin_s,
        every_s=0.1,
        most_machines=MOST_NODES,
        guess_s=pace.call_s,
        wait_target_s=pace.lead_s,
        probes=False,
        trained=False,
    )
    past_s = [count * pace.call_s for count in before]
    with tempfile.TemporaryDirectory() as folder, closing(Raylets(address)) as nodes:
        nodes.wait()
        kept = Kept(nodes)
        plan = replace(plan, providers=(NodeProvider("raylets", kept, plan.labelled()),))

        def open_backend(state: StateFolder, listener: Listener, now_s: NowS) -> RayBackend:
            backend = on_ray(address, RAY)(state, listener, now_s)
            at_s = now_s()  # the past ends where the replay begins
            remember(state.root, Memory(template="node", bin_s=pace.bin_s, at_s=at_s, end_s=at_s, work_s=past_s))
            return backend

        settings = EngineSettings(open_backend=open_backend)
        with dnaml.Executor(state=Path(folder), settings=settings, scaling=plan) as executor:
            driver = executor.scaling
            assert driver is not None
            if rule is not None:
                other: Any = rule(driver._scaler, pace)  # it has what is asked of a scaler
                driver._scaling = Autoscaler(other, driver._carrier, executor._engine.post)
            judged = replay(executor, pace, calls)
        waits_s = tuple(max(0.0, one - pace.begins_s) for one in began_after_s(Path(folder), judged))
        return Replayed(waits_s=waits_s, nodes=kept.count, node_s=kept.spent_s())


def replay(executor: dnaml.Executor, pace: Pace, calls: Sequence[int]) -> list[str]:
    """Submit the calls of each bin, spread over it; return those after the first bins, which begin without a node."""
    began_s = time.monotonic()
    futures, judged = [], []
    for number, count in enumerate(calls):
        for position in range(count):
            due_s = began_s + (number + position / count) * pace.bin_s
            time.sleep(max(0.0, due_s - time.monotonic()))
            futures.append(executor.submit(time.sleep, pace.call_s))
            if number >= SETTLING_BINS:
                judged.append(futures[-1].job_id)
    for future in futures:
        future.result(600.0)
    return judged


class Kept:
    """Raylets that count what was started and for how long."""

    def __init__(self, inner: Raylets) -> None:
        self._inner = inner
        self._since_s: dict[str, float] = {}
        self._until_s: dict[str, float] = {}
        self.is_alive, self.started = inner.is_alive, inner.started

    @property
    def count(self) -> int:
        """Return how many nodes were started."""
        return len(self._since_s)

    def add(self, like: dnaml.Resource, token: str) -> str:
        """Start a node; it counts from its order on."""
        self._since_s.setdefault(token, time.monotonic())
        return self._inner.add(like, token)

    def remove(self, node_id: str) -> None:
        """End a node."""
        self._until_s.setdefault(node_id, time.monotonic())
        self._inner.remove(node_id)

    def spent_s(self) -> float:
        """Return the seconds of all nodes together."""
        return math.fsum(self._until_s.get(name, time.monotonic()) - since_s for name, since_s in self._since_s.items())
