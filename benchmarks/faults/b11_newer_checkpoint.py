"""B11: a checkpoint was written by a newer version; it is refused by name of both versions, never half-read."""

from pathlib import Path

from benchmarks.faults.outcome import Bar, Outcome, Tier
from benchmarks.faults.small_checkpoint import save, value_of
from dnaml.core.errors import CorruptError
from dnaml.execution import sealed_file
from dnaml.execution.checkpoints import CheckpointStore

ID = "B11"
RUNS = {Tier.QUICK: 20, Tier.SOAK: 1000}


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Seal checkpoints as later versions of this program would, and try to use them."""
    used = not_named = 0
    older = save(folder, 1)
    current = sealed_file.SCHEMA_VERSION
    for number in range(runs):
        version = current + 1 + (number * number + seed) % 10_000
        sealed_file.SCHEMA_VERSION = version
        try:
            newer = save(folder, 2)
        finally:
            sealed_file.SCHEMA_VERSION = current
        used += value_of(folder, newer) is not None
        try:
            CheckpointStore(folder).load(newer)
        except CorruptError as error:
            not_named += f"at most {current}" not in str(error) or f"got {version}" not in str(error)
        newest = CheckpointStore(folder).newest("j")
        used += newest is None or newest.id != older
        (folder / newer).unlink()
    return Outcome(
        id=ID,
        seed=seed,
        runs=runs,
        what="checkpoints of a newer version",
        figures=(
            Bar(name="used", value=float(used), unit="", bar=0.0),
            Bar(name="versions_not_named", value=float(not_named), unit="", bar=0.0),
        ),
    )
