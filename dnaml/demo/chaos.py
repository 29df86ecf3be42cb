"""The same batch twice: undisturbed, and while its workers are killed and frozen at random; the results must be equal.

The kernels that take part have the same result on every instruction set, so equal means equal to the last bit; only the
trainings, which go on elsewhere from their checkpoints, are compared within a stated tolerance.
"""

import json as jsonlib
import math
import os
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from rich.console import Console
from rich.table import Table

from dnaml.client import Executor
from dnaml.core.attempt import AttemptState
from dnaml.core.work import Resilience
from dnaml.demo.failover import done_again
from dnaml.demo.kernels import KERNELS
from dnaml.demo.pool import EMULATION, local_pool
from dnaml.engine import EngineSettings
from dnaml.history import History
from dnaml.schedule.planning import ControllerSettings
from dnaml.submission import Call, Options

EXACT = (
    "spectrum_fft",
    "sort_fp64",
    "special_functions",
    "stream_fp32",
    "gather_random",
    "hash_sha256",
    "compress_text",
    "parse_table",
    "json_round_trip",
    "match_pattern",
)
_TRAININGS, STEPS, _CHECKPOINT_EVERY_S = 3, 1000, 0.25
_TRAINING_TOLERANCE = 1e-9  # of the final loss: the last steps may run on another instruction set
_MEAN_GAP_S = 0.8
_FROZEN_SHARE = 1 / 3
_MOST_HITS = 2  # of one job: at the third resource that it is lost with, it would count as what kills its workers


@dataclass(frozen=True, slots=True, kw_only=True)
class Chaos:
    """What the faults did: `redone_s` is work that had to be done again, `clean_s` and `chaos_s` are wall seconds."""

    jobs: int
    killed: int
    frozen: int
    equal: int
    lost: int
    duplicated: int
    redone_s: float
    clean_s: float
    chaos_s: float

    @property
    def holds(self) -> bool:
        """Tell whether every job ended once, with the result that it has without faults."""
        return self.equal == self.jobs and not self.lost and not self.duplicated


class Saboteur:
    """Kills (SIGKILL) or freezes (SIGSTOP) the worker of a random running attempt, again and again, until stopped."""

    def __init__(self, executor: Executor, *, faults: int, seed: int) -> None:
        self.killed = self.frozen = 0
        self._executor, self._left = executor, faults
        self._rng = np.random.default_rng(seed)
        self._hits: Counter[str] = Counter()
        self._frozen_pids: set[int] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="dnaml-saboteur", daemon=True)

    def __enter__(self) -> "Saboteur":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while self._left and not self._stop.wait(float(self._rng.exponential(_MEAN_GAP_S))):
            running = self._executor.running()
            targets = sorted(
                (attempt_id, pid)
                for attempt_id, (_, pid) in running.items()
                if self._hits[attempt_id.rpartition(".")[0]] < _MOST_HITS and pid not in self._frozen_pids
            )
            if targets:
                self._hit(*targets[int(self._rng.integers(len(targets)))])

    def _hit(self, attempt_id: str, pid: int) -> None:
        freeze = self._rng.random() < _FROZEN_SHARE
        try:
            os.kill(pid, signal.SIGSTOP if freeze else signal.SIGKILL)
        except ProcessLookupError:
            return  # it ended by itself just now
        self._hits[attempt_id.rpartition(".")[0]] += 1
        self._left -= 1
        if freeze:
            self.frozen += 1
            self._frozen_pids.add(pid)
        else:
            self.killed += 1


def calls_of(seed: int, per_kernel: int, *, steps: int = STEPS) -> list[Call[object]]:
    """Return the batch: every exact kernel equally often, and some trainings that write checkpoints."""
    calls: list[Call[object]] = []
    for index, name in enumerate(EXACT * per_kernel):
        kernel = KERNELS[name]
        options = Options(name=name, computation=kernel.computation(kernel.sizes[1]))
        calls.append(Call(fn=kernel.function, args=(kernel.sizes[1], seed + index), options=options))
    training = KERNELS["train_mlp"]
    resilience = Resilience(checkpoint_every_s=_CHECKPOINT_EVERY_S)
    for index in range(_TRAININGS):
        options = Options(name="training", resilience=resilience, computation=training.computation(steps))
        calls.append(Call(fn=training.function, args=(steps, seed + index), options=options))
    order = np.random.default_rng(seed).permutation(len(calls))
    return [calls[int(position)] for position in order]


def under_chaos(executor: Executor, calls: Sequence[Call[object]], *, faults: int, seed: int) -> Chaos:
    """Run the batch undisturbed, then under faults, and compare what came of it."""
    began_s = time.monotonic()
    wanted = [future.result() for future in executor.submit_all(calls)]
    clean_s, began_s = time.monotonic() - began_s, time.monotonic()
    with Saboteur(executor, faults=faults, seed=seed) as saboteur:
        futures = executor.submit_all(calls)
        errors = [future.exception() for future in futures]
    chaos_s = time.monotonic() - began_s
    got = [None if error else future.result() for future, error in zip(futures, errors, strict=True)]
    history = History.read(executor.state)
    views = [history.jobs[future.job_id] for future in futures]
    lost_work_s = [
        max(0.0, attempt.ended_at_s - (attempt.sealed_at_s or attempt.started_at_s))
        for view in views
        for attempt in view.attempts
        if attempt.state is AttemptState.LOST and attempt.ended_at_s is not None
    ]
    return Chaos(
        jobs=len(calls),
        killed=saboteur.killed,
        frozen=saboteur.frozen,
        equal=sum(is_equal(a, b) for a, b in zip(wanted, got, strict=True)),
        lost=sum(error is not None for error in errors),
        duplicated=sum(done_again(view) for view in views),
        redone_s=sum(lost_work_s),
        clean_s=clean_s,
        chaos_s=chaos_s,
    )


def is_equal(wanted: object, got: object) -> bool:
    """Tell whether two results of one job are the same; losses of trainings, the only tiny floats, within 1e-9."""
    if isinstance(wanted, float) and isinstance(got, float):
        return math.isclose(wanted, got, rel_tol=0.0, abs_tol=_TRAINING_TOLERANCE if wanted < 0.1 else 0.0)
    return type(wanted) is type(got) and wanted == got


def run(*, seed: int = 0, json: bool = False, faults: int = 9, per_kernel: int = 4) -> int:
    """Run both batches, print what happened; exit code 0 when every result is equal and came once, else 1."""
    console = Console(quiet=json)
    console.print(EMULATION)
    pool = tuple(replace(resource, price_usd_per_h=1.0, price_date="demo rule") for resource in local_pool())
    settings = EngineSettings(controller=ControllerSettings(window_jobs=1024))
    with (
        tempfile.TemporaryDirectory(prefix="dnaml-chaos-") as state,
        Executor(pool, state=state, objective="min_latency", seed=seed, settings=settings) as executor,
        console.status("the same batch, undisturbed and under faults (about a minute)"),
    ):
        found = under_chaos(executor, calls_of(seed, per_kernel), faults=faults, seed=seed)
    if json:
        print(jsonlib.dumps({"seed": seed, "holds": found.holds, **asdict(found)}))
    else:
        console.print(_table(found))
    return 0 if found.holds else 1


def _table(found: Chaos) -> Table:
    table = Table(title="The same batch, undisturbed and while its workers were killed and frozen")
    table.add_column("what")
    table.add_column("figure", justify="right")
    more = found.chaos_s / found.clean_s - 1
    for what, figure in (
        ("jobs", f"{found.jobs}"),
        ("workers killed / frozen", f"{found.killed} / {found.frozen}"),
        ("results equal (losses of trainings within 1e-9)", f"{found.equal} of {found.jobs}"),
        ("lost / committed twice", f"{found.lost} / {found.duplicated}"),
        ("work done again", f"{found.redone_s:.1f} s"),
        ("wall time undisturbed / under faults", f"{found.clean_s:.1f} / {found.chaos_s:.1f} s ({100 * more:+.0f} %)"),
    ):
        table.add_row(what, figure)
    return table
