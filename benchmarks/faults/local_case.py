"""What the faults of local workers share: an executor on small resources, whoever runs what, and waiting for it."""

import math
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar

from benchmarks.faults.witness import Witness, witness
from dnaml.client import Executor
from dnaml.core.resource import Resource
from dnaml.core.types import Sample
from dnaml.engine import EngineSettings
from dnaml.execution.local import LocalSettings
from dnaml.schedule.settings import ControllerSettings

PATIENCE_S = 120.0
_ROUND_S = 10.0  # what a busy machine may lay between an attempt's ends and the round beside them; far below any skew
T = TypeVar("T")


def resources(count: int, *, slots: int = 1, memory_bytes: int | None = None) -> tuple[Resource, ...]:
    """Return resources of one price, each with a few slots."""
    return tuple(
        Resource(id=f"r{number}", price_usd_per_h=1.0, slots=slots, memory_bytes=memory_bytes)
        for number in range(count)
    )


@contextmanager
def executor_on(
    folder: Path,
    pool: tuple[Resource, ...],
    *,
    local: LocalSettings | None = None,
    controller: ControllerSettings | None = None,
    cores: int | None = None,
    sample_every_s: float = 1.0,
) -> Iterator[Executor]:
    """Open an executor with its state below a folder; `cores` defaults to one for each slot."""
    settings = EngineSettings(
        local=local or LocalSettings(), controller=controller or ControllerSettings(), sample_every_s=sample_every_s
    )
    cores = cores or sum(resource.slots for resource in pool)
    with Executor(pool, state=folder / "state", settings=settings, cores=cores) as executor:
        yield executor


def samples(folder: Path) -> list[Sample]:
    """Return the telemetry of attempts that an executor from above kept, in the order in which it was received."""
    with closing(sqlite3.connect(folder / "state" / "samples.sqlite")) as store:
        query = "SELECT resource_id, attempt_id, at_s FROM samples WHERE attempt_id IS NOT NULL ORDER BY rowid"
        return [Sample(resource_id=r, attempt_id=a, at_s=s, metrics={}) for r, a, s in store.execute(query)]


def misplaced(told: Witness, rows: list[Sample]) -> int:
    """Return how many rows of telemetry lie before the row received before them, or outside of their attempt."""
    begun = {event.attempt_id: event.at_s for event in told.started}
    over = {event.attempt_id: event.at_s for event in told.ended}
    wrong, latest = 0, dict[str, float]()
    for row in rows:
        name = row.attempt_id or ""
        inside = begun.get(name, math.inf) - _ROUND_S <= row.at_s <= over.get(name, math.inf) + _ROUND_S
        wrong += not inside or row.at_s < latest.get(name, 0.0)
        latest[name] = row.at_s
    return wrong


def seen(folder: Path) -> Witness:
    """Return what the journal of an executor from above tells."""
    return witness(folder / "state")


def until(found: Callable[[], T | None], patience_s: float = PATIENCE_S) -> T:
    """Look until something is found; raise TimeoutError when it never is."""
    end_s = time.monotonic() + patience_s
    while (value := found()) is None or value is False:
        if time.monotonic() > end_s:
            raise TimeoutError(f"{found} found nothing within {patience_s} s")
        time.sleep(0.002)
    return value


def process_of(executor: Executor, job_id: str) -> int:
    """Return the process that runs a job; waits until one does."""

    def look() -> int | None:
        running = executor.running().items()
        return next((pid for attempt_id, (_, pid) in running if attempt_id.rpartition(".")[0] == job_id), None)

    return until(look)


def is_alive(pid: int) -> bool:
    """Say whether a process runs; one that waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except OSError:
        return False


def now_s(executor: Executor) -> float:
    """Return the time on the clock of an executor's journal."""
    return executor._engine.now_s()


def has_spare(folder: Path) -> Callable[[], bool]:
    """Return the look whether an executor from above keeps a spare worker."""
    return lambda: any((folder / "state" / "logs").glob("spare-*"))
