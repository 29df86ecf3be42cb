"""B3: each single bit of a checkpoint is flipped; every one is refused, and the older generation is used."""

from pathlib import Path

from benchmarks.faults.outcome import Bar, Outcome, Tier
from benchmarks.faults.small_checkpoint import save, value_of
from dnaml.execution.checkpoints import CheckpointStore

ID = "B3"
RUNS = {Tier.QUICK: 1, Tier.SOAK: 1}


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Flip every bit of the newer of two checkpoints, one at a time."""
    older, newer = save(folder, 1), save(folder, 2)
    path, store = folder / newer, CheckpointStore(folder)
    whole = path.read_bytes()
    undetected = not_replaced = 0
    for bit in range(8 * len(whole)):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        undetected += value_of(folder, newer) is not None
        if bit % 64 == seed % 64:
            newest = store.newest("j")
            not_replaced += newest is None or newest.id != older
    return Outcome(
        id=ID,
        seed=seed,
        runs=8 * len(whole),
        what="single flipped bits of a checkpoint",
        figures=(
            Bar(
                name="undetected",
                value=float(undetected),
                unit="",
                bar=0.0,
                peer="safetensors alone (share of flips)",
                peer_value=0.91,
            ),
            Bar(name="older_not_used", value=float(not_replaced), unit="", bar=0.0),
        ),
    )
