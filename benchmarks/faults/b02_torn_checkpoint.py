"""B2: a checkpoint ends anywhere, or its writer is killed at any write; it is ignored, and the one before is used."""

import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.faults.outcome import Bar, Outcome, Tier
from benchmarks.faults.small_checkpoint import save, value_of
from dnaml.execution.checkpoints import CheckpointStore

ID = "B2"
RUNS = {Tier.QUICK: 6, Tier.SOAK: 60}
"""Kills of a writer at its first, second, ... call that changes the disk, until one finishes; cuts are always all."""

_CALLS = "openat,write,fsync,rename,mkdir"


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Cut a checkpoint at every byte; kill its writer at every call."""
    cuts, wrong_cuts = _cut_everywhere(folder / "cut")
    strace = shutil.which("strace")
    kills = wrong_kills = 0
    if strace is not None and subprocess.run([strace, "-f", "true"], capture_output=True).returncode == 0:
        kills, wrong_kills = _kill_everywhere(strace, folder / "killed", runs)
    return Outcome(
        id=ID,
        seed=seed,
        runs=cuts + kills,
        what="torn checkpoints",
        figures=(
            Bar(name="wrong_loads_of_cuts", value=float(wrong_cuts), unit="", bar=0.0),
            Bar(name="wrong_loads_after_kills", value=float(wrong_kills), unit="", bar=0.0),
        ),
        extra={"cuts": float(cuts), "kills": float(kills)},
    )


def _cut_everywhere(folder: Path) -> tuple[int, int]:
    """Return how many prefixes were tried, and how many were taken for a checkpoint or kept the older one from use."""
    older, newer = save(folder, 1), save(folder, 2)
    path, store = folder / newer, CheckpointStore(folder)
    whole, wrong = path.read_bytes(), 0
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        newest = store.newest("j")
        wrong += value_of(folder, newer) is not None or newest is None or newest.id != older
    path.write_bytes(whole)
    assert value_of(folder, newer) == 2
    return len(whole), wrong


def _kill_everywhere(strace: str, folder: Path, runs: int) -> tuple[int, int]:
    """Kill a writer of a second checkpoint at one call after the other; what is left must be the first or the second.

    The calls of the interpreter's start are passed over: the first kill is at the first call that names the folder.
    """
    wrong = 0
    for number in range(1, runs + 1):
        home = folder / str(number)
        save(home, 1)
        child = [sys.executable, "-m", "benchmarks.faults.small_checkpoint", str(home), "2"]
        inject = f"inject={_CALLS}:signal=SIGKILL:when={number}"
        job = str(home / "j")
        trace = [strace, "-f", "-o", str(folder / f"trace-{number}"), "-P", job, "-P", str(home)]
        temporary = [argument for path in _names_to_come(home) for argument in ("-P", path)]
        ended = subprocess.run([*trace, *temporary, "-e", inject, *child], capture_output=True)
        newest = CheckpointStore(home).newest("j")
        wrong += newest is None or value_of(home, newest.id) not in (1, 2)
        if ended.returncode == 0:
            assert newest is not None
            assert value_of(home, newest.id) == 2
            return number - 1, wrong
    return runs, wrong


def _names_to_come(home: Path) -> list[str]:
    """Return the names that the writer will use: its process id, which ends the temporary one, is not known yet."""
    first = sorted((home / "j").glob("*.checkpoint"))[-1]
    return [str(first.with_name(first.name.replace("00000001.checkpoint", "00000002.checkpoint")))]
