"""Kills a worker in the middle of a checkpointing training and shows that nothing is lost or done twice."""

import math
import os
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from dnaml.client import Executor
from dnaml.core.attempt import AttemptState
from dnaml.core.work import Resilience
from dnaml.demo.kernels import KERNELS
from dnaml.futures import Future
from dnaml.history import History, JobView
from dnaml.submission import Call, Options

TRAINING_STEPS = 1500
CHECKPOINT_EVERY_S = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Failover:
    """What the kill showed. `redone_s` is work between the last sealed checkpoint and the kill."""

    killed: str
    went_on: str
    detect_s: float
    redone_s: float
    resumed_at: float
    lost: int
    duplicated: int


def lose_a_worker(executor: Executor, *, seed: int) -> Failover:
    """Start a training among other work, kill its worker after some checkpoints, and wait for all results."""
    kernel = KERNELS["train_mlp"]
    resilience = Resilience(checkpoint_every_s=CHECKPOINT_EVERY_S)
    training_options = Options(name="training", resilience=resilience, computation=kernel.computation(TRAINING_STEPS))
    hashing = KERNELS["hash_sha256"]
    calls: list[Call[object]] = [Call(fn=kernel.function, args=(TRAINING_STEPS, seed), options=training_options)]
    calls += [
        Call(fn=hashing.function, args=(hashing.sizes[0], seed + i), options=Options(name=hashing.name))
        for i in range(8)
    ]
    futures = executor.submit_all(calls)
    pid = _after_checkpoints(executor, futures[0], 3)
    killed_at_s = time.time()
    os.kill(pid, signal.SIGKILL)
    for future in futures:
        future.result()
    return _what_happened(executor, futures, killed_at_s)


def _after_checkpoints(executor: Executor, future: Future[object], count: int) -> int:
    """Wait until an attempt has sealed some checkpoints and return the process id of its worker."""
    pause = threading.Event()
    until_s = time.monotonic() + 30.0
    while time.monotonic() < until_s:
        pause.wait(0.02)
        here = [
            pid for attempt_id, (_, pid) in executor.running().items() if attempt_id.startswith(future.job_id + ".")
        ]
        if here and len(list((executor.state / "checkpoints").rglob("*"))) and _sealed(executor, future) >= count:
            return here[0]
    raise TimeoutError(f"job {future.job_id} sealed no {count} checkpoints in 30 s")


def _sealed(executor: Executor, future: Future[object]) -> int:
    last = History.read(executor.state).jobs[future.job_id].last
    return last.checkpoints if last is not None else 0


def _what_happened(executor: Executor, futures: Sequence[Future[object]], killed_at_s: float) -> Failover:
    history = History.read(executor.state)
    views = [history.jobs[future.job_id] for future in futures]
    training = views[0]
    first, last = training.attempts[0], training.attempts[-1]
    return Failover(
        killed=first.placement.resource_id,
        went_on=last.placement.resource_id,
        detect_s=max(0.0, (first.ended_at_s or killed_at_s) - killed_at_s),
        redone_s=max(0.0, killed_at_s - (first.sealed_at_s or first.started_at_s)),
        resumed_at=first.sealed_progress,
        lost=sum(not future.done() for future in futures),
        duplicated=sum(done_again(view) for view in views),
    )


def done_again(view: JobView) -> bool:
    """Tell whether a job was done after it was done; of copies that ran side by side, both may end well."""
    done = [attempt for attempt in view.attempts if attempt.state is AttemptState.DONE]
    first_s = min((attempt.ended_at_s for attempt in done if attempt.ended_at_s is not None), default=math.inf)
    return any(attempt.started_at_s > first_s for attempt in done)
