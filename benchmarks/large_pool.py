"""What a pool of very many nodes costs its one control process: a decision, a heartbeat, a refresh, a journal write.

The nodes are fakes (descriptions alone); the controller, the messages and the journal are the real ones. Decisions
are measured with the predictor that learns, and with one that answers from descriptions at once, to tell its part
apart. Everything is processor time of one core. `docs/large-pools.md` computes from it what 10,000 nodes need.
"""

import statistics
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.report import Row, main
from dnaml.core import events as ev
from dnaml.core.attempt import AttemptState, Usage
from dnaml.core.events import Event, StartAttempt
from dnaml.core.prediction import LEVELS, Prediction, Quantiles
from dnaml.core.protocols import Predictor, Run
from dnaml.core.resource import Resource, ResourceState
from dnaml.core.work import Computation, Job, Objective
from dnaml.datasets.journal import SqlJournal
from dnaml.dna.space import resource_dna
from dnaml.execution import messages
from dnaml.predict.placing import LivePredictor
from dnaml.schedule.controller import Controller
from dnaml.schedule.matching import MatchingPolicy

LEARNED_SIZES = (100, 1_000, 2_000)  # a predictor that learns from every run holds a matrix of nodes by nodes
SIZES = (100, 1_000, 10_000)
REPEATS = 21
_KINDS = 10


def measure(quick: bool) -> Sequence[Row]:
    """Return the rows: each cost at each size of the pool."""
    rows = []
    for nodes in LEARNED_SIZES[:2] if quick else LEARNED_SIZES:
        rows += _learning(Desk(nodes, LivePredictor()), nodes, 5)
    for nodes in SIZES[:2] if quick else SIZES:
        rows += _of_pool(nodes, 7 if quick else REPEATS)
    return [*rows, *_of_one(2_000 if quick else 20_000)]


class BySpec:
    """A predictor that says the same of every computation, from the descriptions of the nodes alone."""

    version = "by-spec"

    def __init__(self) -> None:
        self._kept: tuple[object, Prediction] = (None, _by_spec([], 0))

    def predict(self, computations: Sequence[Computation], resources: Sequence[Resource]) -> Prediction:
        """Return quantiles [C, R, Q]; those of the newest pool are kept."""
        if self._kept[0] is not resources:
            self._kept = (resources, _by_spec(resources, 1))
        return self._kept[1].rows(np.zeros(len(computations), dtype=np.int64))

    def updated(self, runs: Sequence[Run]) -> "BySpec":
        """Learn nothing."""
        return self

    def shortlist(
        self, computation: Computation, resources: Sequence[Resource], objective: Objective, k: int
    ) -> npt.NDArray[np.int64]:
        """Return the first of the nodes."""
        return np.arange(min(k, len(resources)))


def _by_spec(resources: Sequence[Resource], rows: int) -> Prediction:
    base_s = np.array([1e10 / one.spec["fp64_flop_per_s"] for one in resources])
    price = np.array([(one.price_usd_per_h or 0.0) / 3600 for one in resources])
    values = base_s[None, :, None] * np.exp(np.array(LEVELS) - 0.5)[None, None, :] * np.ones((rows, 1, 1))  # [C, R, Q]
    return Prediction(
        runtime_s=Quantiles(levels=np.array(LEVELS), values=values),
        cost_usd=Quantiles(levels=np.array(LEVELS), values=values * price[None, :, None]),
        feasible=np.ones(values.shape[:2], dtype=bool),
        hazard_per_h=np.zeros(len(resources)),
        path="by-spec",
    )


class Desk:
    """A controller over a pool of fakes; `tell` gives it events and takes down what it starts."""

    def __init__(self, nodes: int, predictor: Predictor, seed: int = 0) -> None:
        self.pool = pool_of(nodes, np.random.default_rng(seed))
        self.controller = Controller(MatchingPolicy(), predictor, Objective.of("balanced"), seed=seed)
        self.at_s = 0.0
        self.started: list[StartAttempt] = []
        self._numbers = count()
        for resource in self.pool:
            self.tell(ev.ResourceUp(at_s=0.0, resource=resource))
        self.tell(ev.Settled(at_s=0.0))

    def tell(self, event: Event) -> None:
        """Hand an event to the controller."""
        commands = self.controller.handle(event)
        self.started += [command for command in commands if isinstance(command, StartAttempt)]

    def run(self, computation: Computation, runtime_s: float = 1.0) -> float:
        """Submit a computation, let it start and end; return the processor seconds from its arrival to its start."""
        name = f"j{next(self._numbers)}"
        job = Job(id=name, computation_id=computation.id, submitted_at_s=self.at_s)
        self.started.clear()
        took_s = self._timed(ev.Submitted(at_s=self.at_s, job=job, computation=computation))
        took_s += self._timed(ev.Settled(at_s=self.at_s))
        attempt = self.started[0].attempt
        self.tell(
            ev.AttemptStarted(
                at_s=self.at_s, attempt_id=attempt.id, epoch=attempt.epoch, job_id=name, placement=attempt.placement
            )
        )
        self.at_s += runtime_s
        usage = Usage(wall_s=runtime_s, cpu_s=runtime_s)
        self.tell(
            ev.AttemptEnded(
                at_s=self.at_s, attempt_id=attempt.id, epoch=attempt.epoch, outcome=AttemptState.DONE, usage=usage
            )
        )
        self.tell(ev.Settled(at_s=self.at_s))
        self.tell(ev.Tick(at_s=self.at_s))
        return took_s

    def _timed(self, event: Event) -> float:
        began_s = time.process_time()
        self.tell(event)
        return time.process_time() - began_s


def pool_of(nodes: int, rng: np.random.Generator) -> list[Resource]:
    """Return descriptions of unlike nodes, each of its own host."""
    speed = 1e10 * (1 + rng.integers(0, _KINDS, nodes))
    return [
        Resource(
            id=f"n{number}",
            domain=f"n{number}",
            price_usd_per_h=float(0.05 + each / 1e11),
            memory_bytes=64 << 30,
            spec={"fp64_flop_per_s": float(each), "sequential_bytes_per_s": 2e10},
        )
        for number, each in enumerate(speed)
    ]


def _learning(desk: Desk, nodes: int, repeats: int) -> list[Row]:
    """Return what a decision takes with the predictor that learns from every run."""
    known = Computation(id="c", kernel="k", size={"rows": 1000.0})
    desk.run(known)
    again = [desk.run(known) for _ in range(repeats)]
    new = [desk.run(Computation(id=f"new{number}", kernel=f"fresh{number}")) for number in range(repeats)]
    told = f"{nodes} nodes, learning from every run"
    return [
        _ms("L.learned", f"{told}: a job of a known kind, from its arrival to its start", again),
        _ms("L.learned.new", f"{told}: a job of a kind never seen", new),
    ]


def _of_pool(nodes: int, repeats: int) -> list[Row]:
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    desk = Desk(nodes, BySpec())
    held = (tracemalloc.get_traced_memory()[0] - before) / nodes
    tracemalloc.stop()
    known = Computation(id="c", kernel="k")
    desk.run(known)
    decided = [desk.run(known) for _ in range(repeats)]
    refreshed = [_refresh(desk, number % nodes) for number in range(repeats)]
    joined = [_join(desk, one) for one in _more(repeats)]
    progressed = _progress(desk, known, 10 * repeats)
    told = f"{nodes} nodes"
    return [
        _ms("L.decision", f"{told}: a job from its arrival to its start, predictions at hand", decided),
        _ms("L.refresh", f"{told}: what changes about one node is taken in", refreshed),
        _ms("L.progress", f"{told}: a heartbeat that tells of progress is taken in", progressed),
        _ms("L.join", f"{told}: one node more", joined),
        Row(id="L.memory", metric=f"{told}: memory of the controller for a node", value=held / 1024, unit="KiB"),
    ]


def _of_one(count_of: int) -> list[Row]:
    """Return what does not depend on the size of the pool: a beat, the DNA of a node, an event in the journal."""
    beat = messages.encode(messages.Beat("job.1", 1, 0.5, 12.0))
    decode = messages.decode_from_worker
    node = pool_of(1, np.random.default_rng(0))[0]
    beats = _each(lambda: [decode(beat) for _ in range(count_of)], count_of)
    dna = _each(lambda: [resource_dna(replace(node, id=str(n))) for n in range(count_of // 20)], count_of // 20)
    with tempfile.TemporaryDirectory(prefix="dnaml-large-pool-") as folder:
        path = Path(folder) / "journal.db"
        journal = SqlJournal(path)
        written = _each(lambda: _write(journal, count_of), count_of)
        journal.close()
        stored = sum(one.stat().st_size for one in Path(folder).iterdir()) / count_of
    return [
        Row(id="L.beat", metric="one heartbeat is read", value=beats * 1e6, unit="us"),
        Row(id="L.dna", metric="the DNA of one node is made", value=dna * 1e6, unit="us"),
        Row(id="L.journal", metric="one refresh is journaled, 100 a moment", value=written * 1e6, unit="us"),
        Row(id="L.journal.bytes", metric="one refresh takes in the journal", value=stored, unit="B"),
    ]


def _refresh(desk: Desk, number: int) -> float:
    state = ResourceState(resource_id=f"n{number}", at_s=desk.at_s, load=0.5, contention=1.1, free_memory_bytes=1 << 30)
    return _timed(lambda: desk.tell(ev.ResourceRefreshed(at_s=desk.at_s, state=state)))


def _join(desk: Desk, resource: Resource) -> float:
    return _timed(lambda: desk.tell(ev.ResourceUp(at_s=desk.at_s, resource=resource)))


def _progress(desk: Desk, computation: Computation, repeats: int) -> list[float]:
    """Return what each word of a running attempt's progress takes."""
    job = Job(id="long", computation_id=computation.id, submitted_at_s=desk.at_s)
    desk.started.clear()
    desk.tell(ev.Submitted(at_s=desk.at_s, job=job, computation=computation))
    desk.tell(ev.Settled(at_s=desk.at_s))
    attempt = desk.started[0].attempt
    who, epoch = attempt.id, attempt.epoch
    where = attempt.placement
    desk.tell(ev.AttemptStarted(at_s=desk.at_s, attempt_id=who, epoch=epoch, job_id=job.id, placement=where))
    words = [
        ev.AttemptProgressed(at_s=desk.at_s + n, attempt_id=who, epoch=epoch, progress=n / repeats, used_s=float(n))
        for n in range(repeats)
    ]
    return [_told(desk, word) for word in words]


def _told(desk: Desk, event: Event) -> float:
    return _timed(lambda: desk.tell(event))


def _write(journal: SqlJournal, count_of: int) -> None:
    for number in range(count_of):
        state = ResourceState(resource_id=f"n{number}", at_s=float(number), load=0.5, contention=1.1)
        journal.append(ev.ResourceRefreshed(at_s=float(number), state=state))
        if number % 100 == 99:
            journal.append(ev.Settled(at_s=float(number)))
    journal.flush()


def _more(number: int) -> list[Resource]:
    return [replace(one, id=f"more-{one.id}") for one in pool_of(number, np.random.default_rng(1))]


def _timed(act: Callable[[], object]) -> float:
    began_s = time.process_time()
    act()
    return time.process_time() - began_s


def _each(act: Callable[[], object], times: int) -> float:
    """Return the processor seconds of one of `times`, the best of three."""
    return min(_timed(act) for _ in range(3)) / times


def _ms(id_: str, metric: str, took_s: Sequence[float]) -> Row:
    note = f"worst of {len(took_s)}: {max(took_s) * 1e3:.3g} ms"
    return Row(id=id_, metric=metric, value=statistics.median(took_s) * 1e3, unit="ms", note=note)


if __name__ == "__main__":
    sys.exit(main("large_pool", measure))
