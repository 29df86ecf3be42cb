"""B8: the disk under the state folder is full for a while: nothing is admitted, what runs goes on, nothing is lost."""

import os
import subprocess
import time
from pathlib import Path

import dnaml
from benchmarks.faults.history import counted
from benchmarks.faults.outcome import Bar, Outcome, Tier
from benchmarks.tasks import sleep_10ms
from dnaml.core.errors import StorageUnavailable
from dnaml.durable.settings import StorageSettings
from dnaml.engine import EngineSettings

ID = "B8"
RUNS = {Tier.QUICK: 1, Tier.SOAK: 10}
_WHAT = "the disk under the state folder is full for a while"
_FULL_S = 3.0


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Fill a small file system while jobs run, submit meanwhile, make room, and look at what became of them."""
    lost = doubled = refused = other = 0
    for run in range(runs):
        disk = folder / f"disk-{run}"
        disk.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(disk)]
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        if made.returncode:
            why = f"no file system can be mounted here: {made.stderr.strip()}"
            return Outcome(id=ID, seed=seed, runs=0, what=_WHAT, skipped=why)
        try:
            told = _during(disk)
            found = counted(disk)
        finally:
            subprocess.run(["umount", "-l", str(disk)], check=True)
        refused, other = refused + told[0], other + told[1]
        lost, doubled = lost + found.lost, doubled + found.doubled
    return Outcome(
        id=ID,
        seed=seed,
        runs=runs,
        what=_WHAT,
        lost=lost,
        duplicated=doubled,
        figures=(
            Bar(name="runs_without_a_refusal", value=float(runs - min(runs, refused)), unit="", bar=0.0),
            Bar(name="other_errors", value=float(other), unit="", bar=0.0),
        ),
    )


def _during(disk: Path) -> tuple[int, int]:
    """Return how many submissions were refused clearly, and how many met another error."""
    pool = [dnaml.Resource(id=f"r{number}") for number in range(2)]
    settings = EngineSettings(storage=StorageSettings(admission_patience_s=0.2))
    refused = other = 0
    with dnaml.Executor(pool, state=disk, cores=2, settings=settings) as executor:
        futures = [executor.submit(sleep_10ms, number) for number in range(100)]
        futures[0].result(30)
        filler = disk / "filler"
        until_s = time.monotonic() + _FULL_S
        while time.monotonic() < until_s:
            _fill(filler)
            try:
                futures.append(executor.submit(sleep_10ms, len(futures)))
            except StorageUnavailable:
                refused += 1
                time.sleep(0.05)
            except Exception:  # noqa: BLE001  # whatever else is said counts against the row
                other += 1
        filler.unlink()
        (disk / "accepted.txt").write_text("".join(f"{future.job_id}\n" for future in futures))
        for number, future in enumerate(futures):
            assert future.result(60) == number
    return refused, other


def _fill(path: Path) -> None:
    """Take all the room that is left."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        for size in (65536, 4096, 1):
            try:
                while True:
                    os.write(fd, b"x" * size)
            except OSError:
                continue
    finally:
        os.close(fd)
