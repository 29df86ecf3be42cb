"""N5: a restart on a journal of very many computations is ready as soon as one on a short journal, by its index."""

import signal
from pathlib import Path

from benchmarks.faults.history import child
from benchmarks.faults.outcome import Bar, Outcome, Tier, percentile
from dnaml.core import events as ev
from dnaml.core.attempt import AttemptState, Placement, Stored, Usage
from dnaml.core.events import Event
from dnaml.core.work import Computation, Job
from dnaml.datasets.blobs import BlobLog
from dnaml.datasets.journal import SqlJournal, encode_event
from dnaml.datasets.state import StateFolder
from dnaml.durable.replay_index import Keeper, write_index
from dnaml.durable.settings import StorageSettings
from dnaml.durable.store import INDEX
from dnaml.execution import messages

ID = "N5"
RUNS = {Tier.QUICK: 20_000, Tier.SOAK: 1_000_000}
_OPEN = 1000
_USAGE = Usage(wall_s=0.01, cpu_s=0.01, blocked_s=0.0, peak_memory_bytes=1)
_FIT = Computation(id="fit", kernel="fit")


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Write a journal of `runs` jobs of which a thousand are open, then kill and restart an engine on it."""
    state = StateFolder(folder)
    state.prepare()
    _fill(state, runs)
    ready_s = []
    for _ in range(3):
        with child(folder) as one:
            opened_s = one.wait_ready()
            ready_s += [opened_s] if opened_s is not None else []
            one.end(signal.SIGKILL)
    size = sum(path.stat().st_size for path in (state.root / INDEX, state.journal))
    return Outcome(
        id=ID,
        seed=seed,
        runs=runs,
        what="a restart on a long journal",
        recover_s=tuple(ready_s),
        lost=3 - len(ready_s),
        figures=(
            Bar(name="ready_max", value=percentile(tuple(ready_s), 1.0), unit="s", bar=5.0),
            Bar(name="index_size", value=(state.root / INDEX).stat().st_size / 2**20, unit="MiB", bar=16.0),
            Bar(name="bytes_a_computation", value=size / runs, unit="bytes"),
        ),
    )


def _fill(state: StateFolder, jobs: int) -> None:
    """Write what an engine would have written, the index as it would be after the last moment."""
    journal = SqlJournal(state.journal, witness=state.root / "journal.head")
    payloads = BlobLog(state.blobs, "payloads")
    keeper, where = Keeper(StorageSettings().recent_jobs), {}
    for number in range(jobs):
        job = Job(id=f"j-{number:x}", computation_id="fit", submitted_at_s=float(number))
        begun = ev.Submitted(at_s=float(number), job=job, computation=_FIT)
        payload = messages.Payload(encode_event(begun), b"x" * 400, "d", b"y" * 50, b"{}", False)
        stored = payloads.append(messages.encode(payload), digest="-", later=True)
        told: list[Event] = [begun]
        if number < jobs - _OPEN:
            told += _ran(job, float(number))
        else:
            where[job.id] = stored
        if number % 100 == 99:
            payloads.flush()
            told.append(ev.Settled(at_s=float(number)))
        for event in told:
            journal.append(event)
            keeper.note(len(journal), event)
        if job.id not in where:
            keeper.ended(job.id)
    payloads.close()
    journal.flush()
    write_index(state.root / INDEX, keeper.index(journal.head, where, payloads.end, []))
    payloads.close()
    journal.close()


def _ran(job: Job, at_s: float) -> list[Event]:
    attempt_id, place = f"{job.id}.1", Placement(job_id=job.id, resource_id="r0")
    result = Stored(segment=1, offset=0, size_bytes=3, digest="0" * 64)
    return [
        ev.AttemptStarted(at_s=at_s, attempt_id=attempt_id, epoch=1, job_id=job.id, placement=place, pid=1),
        ev.AttemptEnded(
            at_s=at_s, attempt_id=attempt_id, epoch=1, outcome=AttemptState.DONE, usage=_USAGE, result=result
        ),
    ]
