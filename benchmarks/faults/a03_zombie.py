"""A3: a worker frozen past its lease wakes again; what it says and saves then is refused, and each result counts once.

Most runs race the moment at which the engine gives up; in the rest the zombie really goes on, beside its successor.
"""

import os
import random
import select
import signal
import time
from concurrent.futures import wait
from contextlib import suppress
from pathlib import Path

from benchmarks.faults.calls import steps
from benchmarks.faults.local_case import executor_on, process_of, resources, seen, until
from benchmarks.faults.outcome import Bar, Outcome, Tier
from dnaml.core.resource import Resource
from dnaml.execution import messages, pickling
from dnaml.execution.checkpoints import CheckpointStore
from dnaml.execution.local import LocalSettings
from dnaml.execution.process import WorkerProcess

ID = "A3"
RUNS = {Tier.QUICK: 6, Tier.SOAK: 200}

_BRISK = LocalSettings(beat_every_s=0.1, dead_after_s=0.6, tick_every_s=0.2)
_STEPS, _STEP_S = 20, 0.03


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Freeze workers for about as long as the engine waits for them, and let them go on."""
    chance = random.Random(seed)
    races = max(1, runs - runs // 3)
    job_ids = _race(races, chance, folder)
    told = seen(folder)
    refused = [_zombie(folder / f"zombie-{number}") for number in range(runs - races)]
    stopped = sum(told_to_stop for told_to_stop, _ in refused)
    stale_newest = sum(newest for _, newest in refused)
    return Outcome(
        id=ID,
        seed=seed,
        runs=runs,
        what="a frozen worker that wakes after its lease",
        lost=told.lost(job_ids),
        duplicated=told.doubled,
        figures=(
            Bar(name="stale_commits", value=float(told.stale), unit="", bar=0.0),
            Bar(name="stale_checkpoints_in_use", value=float(stale_newest), unit="", bar=0.0),
            Bar(name="zombies_that_did_not_stop", value=float(len(refused) - stopped), unit="", bar=0.0),
        ),
        extra={"deaths": float(len(told.lost_attempts()))},
    )


def _race(runs: int, chance: random.Random, folder: Path) -> list[str]:
    """Freeze each job's first worker for 80 to 130 % of the engine's patience."""
    job_ids = []
    with executor_on(folder, resources(3), local=_BRISK) as executor:
        for number in range(runs):
            note = folder / f"note-{number}"
            future = executor.submit(steps, _STEPS, _STEP_S, str(note))
            job_ids.append(future.job_id)
            pid = process_of(executor, future.job_id)
            until(note.exists)
            os.kill(pid, signal.SIGSTOP)
            wait([future], timeout=_BRISK.dead_after_s * chance.uniform(0.8, 1.3))
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
            assert future.result(60) == _STEPS
    return job_ids


def _zombie(folder: Path) -> tuple[bool, bool]:
    """Let a worker go on though its job has a successor; say whether it stopped, and whether its state is the newest.

    Nobody kills it here, as where the kernel cannot: its connection is closed to it, but for what this reads of it.
    """
    folder.mkdir()
    store = CheckpointStore(folder / "checkpoints")
    zombie, successor = (_working(folder, epoch) for epoch in (1, 2))
    try:
        zombie.flush()
        until(lambda: store.generations("job"))
        os.kill(zombie.pid, signal.SIGSTOP)
        store.fence("job", 2)
        successor.flush()
        until(lambda: any("/00000002" in name for name in store.generations("job")))
        os.kill(zombie.pid, signal.SIGCONT)
        ended = _end_of(zombie)
        return ended.state == "stopped", "/00000001" in store.generations("job")[0]
    finally:
        for worker in (zombie, successor):
            worker.bury()


def _working(folder: Path, epoch: int) -> WorkerProcess:
    """Return a worker that was given an attempt which saves each of many steps."""
    worker = WorkerProcess(folder / "checkpoints", folder, environment={})
    worker.take_in(Resource(id=f"r{epoch}"), pids=None, open_files=None)
    function, digest = pickling.dumps_function(steps)
    arguments = pickling.dumps_arguments((2000, 0.005, str(folder / f"note-{epoch}")), {})
    payload = messages.encode(messages.Payload(b"", function, digest, arguments, b"{}", True))
    worker.give(messages.Begin(f"job.{epoch}", epoch, "job", "steps", payload, None, 0.0))
    return worker


def _end_of(worker: WorkerProcess) -> messages.Ended:
    end_s = time.monotonic() + 30.0
    while time.monotonic() < end_s:
        select.select([worker.data], [], [], 1.0)
        for message in worker.read():
            if isinstance(message, messages.Ended):
                return message
    raise TimeoutError("the zombie never ended")
