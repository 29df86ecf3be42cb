"""B6: another process holds the database's lock for ten seconds; work waits, submitters get a clear error."""

import sqlite3
import time
from pathlib import Path

import dnaml
from benchmarks.faults.history import counted
from benchmarks.faults.outcome import Bar, Outcome, Tier
from benchmarks.tasks import noop
from dnaml.core.errors import StorageUnavailable
from dnaml.durable.settings import StorageSettings
from dnaml.engine import EngineSettings

ID = "B6"
RUNS = {Tier.QUICK: 1, Tier.SOAK: 5}
_HELD_S = 10.0


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Hold the lock under load; ask for submissions meanwhile, and let everything finish afterwards."""
    refused = other = 0
    lost = doubled = 0
    recover_s = []
    for run in range(runs):
        case = folder / str(run)
        told = _during(case)
        refused, other = refused + told[0], other + told[1]
        recover_s.append(told[2])
        found = counted(case)
        lost, doubled = lost + found.lost, doubled + found.doubled
    return Outcome(
        id=ID,
        seed=seed,
        runs=runs,
        what="another process holds the database's lock for ten seconds",
        recover_s=tuple(recover_s),
        lost=lost,
        duplicated=doubled,
        figures=(
            Bar(name="other_errors", value=float(other), unit="", bar=0.0),
            Bar(name="runs_without_a_refusal", value=float(runs - min(runs, refused)), unit="", bar=0.0),
        ),
    )


def _during(folder: Path) -> tuple[int, int, float]:
    """Return clear refusals, other errors, and the seconds from the lock's end to the end of all work."""
    pool = [dnaml.Resource(id=f"r{number}") for number in range(2)]
    settings = EngineSettings(storage=StorageSettings(admission_patience_s=1.0))
    refused = other = 0
    with dnaml.Executor(pool, state=folder, cores=2, settings=settings) as executor:
        futures = [executor.submit(noop, number) for number in range(20)]
        futures[0].result(30)
        holder = sqlite3.connect(folder / "journal.sqlite", isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        until_s = time.monotonic() + _HELD_S
        while time.monotonic() < until_s:
            try:
                futures.append(executor.submit(noop, len(futures)))
                time.sleep(0.1)
            except StorageUnavailable as error:
                refused += error.retry_after_s > 0
            except Exception:  # noqa: BLE001  # whatever else is said counts against the row
                other += 1
        holder.execute("ROLLBACK")
        holder.close()
        freed_s = time.monotonic()
        with (folder / "accepted.txt").open("w") as accepted:
            accepted.writelines(f"{future.job_id}\n" for future in futures)
        for number, future in enumerate(futures):
            assert future.result(60) == number
        return refused, other, time.monotonic() - freed_s
