"""N5: a restart on a journal of very many computations is ready as soon as one on a short journal, by its index."""

import signal
import sqlite3
import time
from contextlib import closing
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
RUNS = {Tier.QUICK: 60_000, Tier.SOAK: 1_000_000}
_OPEN = 1000
_INDEXED_EVERY = 5_000  # jobs
_LIVE_ROWS = StorageSettings().pack_beyond_events + 4 * _INDEXED_EVERY
_USAGE = Usage(wall_s=0.01, cpu_s=0.01, blocked_s=0.0, peak_memory_bytes=1)
_FIT = Computation(id="fit", kernel="fit")


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Write a journal of `runs` jobs of which a thousand are open, then kill and restart an engine on it.

    A third as long a one beside it says whether size and the time of a whole replay grow as the number of jobs does.
    """
    short, state = (StateFolder(folder / name) for name in ("short", "long"))
    for each, jobs in ((short, runs // 3), (state, runs)):
        each.prepare()
        _fill(each, jobs)
    ready_s = []
    for _ in range(3):
        with child(state.root) as one:
            opened_s = one.wait_ready()
            ready_s += [opened_s] if opened_s is not None else []
            one.end(signal.SIGKILL)
    (size, replay_s), (short_size, short_replay_s) = (_grown(each) for each in (state, short))
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
            Bar(name="rows_that_are_not_packed", value=float(_rows(state)), unit="rows", bar=float(_LIVE_ROWS)),
            Bar(name="size_for_three_times_the_jobs", value=size / short_size, unit="x", bar=3.3),
            Bar(name="replay_for_three_times_the_jobs", value=replay_s / short_replay_s, unit="x", bar=3.6),
            Bar(name="bytes_a_computation", value=size / runs, unit="bytes"),
        ),
        extra={"whole_replay_cpu_s": replay_s},
    )


def _grown(state: StateFolder) -> tuple[int, float]:
    """Return the bytes of a journal with its index, and the processor seconds of reading every event of it."""
    began_s = time.process_time()
    journal = SqlJournal(state.journal, read_only=True)
    for _ in journal.replay():
        pass
    journal.abandon()
    return sum(path.stat().st_size for path in (state.root / INDEX, state.journal)), time.process_time() - began_s


def _rows(state: StateFolder) -> int:
    with closing(sqlite3.connect(state.journal)) as db:
        return int(db.execute("SELECT COUNT(*) FROM events").fetchone()[0])


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
        if number % _INDEXED_EVERY == 0:  # an engine packs a little at a time, never beyond the index on the disk
            while journal.pack(len(journal) - StorageSettings().pack_beyond_events):
                pass
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
