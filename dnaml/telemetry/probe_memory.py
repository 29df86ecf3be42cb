"""Probes of main memory: sequential copy and triad, independent and dependent random reads, beyond the caches."""

from contextlib import ExitStack
from typing import TYPE_CHECKING

from dnaml.telemetry.probes import Probe, Step

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_ARRAY_BYTES = 32 << 20
_TABLE_ITEMS = 1 << 23  # 64 MiB of indices
_CHAIN = 4_096
_GATHERED = 1 << 16


def memory_probes() -> list[Probe]:
    """Return the probes of memory, on the CPU clock."""
    return [
        Probe(key="sequential_bytes_per_s", setup=_copy),
        Probe(key="triad_bytes_per_s", setup=_triad),
        Probe(key="random_access_per_s", setup=_chase),
        Probe(key="gather_items_per_s", setup=_gather),
    ]


def _copy(stack: ExitStack) -> Step:
    """Copy 32 MiB; bytes read and written both count."""
    import numpy as np

    source = np.ones(_ARRAY_BYTES // 8)
    target = source.copy()

    def step() -> float:
        np.copyto(target, source)
        return 2.0 * _ARRAY_BYTES

    return step


def _triad(stack: ExitStack) -> Step:
    """Compute a = 3 b + c in numpy's two passes, which read 3 arrays and write 2."""
    import numpy as np

    b = np.ones(_ARRAY_BYTES // 16)
    c = b.copy()
    a = b.copy()

    def step() -> float:
        np.multiply(b, 3.0, out=a)
        np.add(a, c, out=a)
        return 5.0 * a.nbytes

    return step


def _chase(stack: ExitStack) -> Step:
    """Follow a chain of dependent reads through 64 MiB, in compiled code and without a compiler.

    `np.take` writes each item that it read to the place where it reads its next index, because the two arrays overlap
    by all but one item. The table is a full-period congruential sequence (Hull and Dobell 1962: odd increment,
    multiplier 1 mod 4), so the chain visits every item once before it repeats.
    """
    import numpy as np

    table = _full_period_table()
    chain = np.zeros(_CHAIN + 1, dtype=np.intp)

    def step() -> float:
        chain[0] = chain[-1]
        np.take(table, chain[:-1], out=chain[1:], mode="clip")
        return float(_CHAIN)

    step()
    if not np.array_equal(chain[1:], table[chain[:-1]]):
        raise RuntimeError("this numpy copies overlapping indices, so reads would not depend on each other")
    return step


def _full_period_table() -> "npt.NDArray[np.intp]":
    import numpy as np

    table = np.arange(_TABLE_ITEMS, dtype=np.intp)
    table *= 1_664_525
    table += 1_013_904_223
    table &= _TABLE_ITEMS - 1
    return table


def _gather(stack: ExitStack) -> Step:
    """Read 65 536 independent random items of 64 MiB a step; the core overlaps the misses."""
    import numpy as np

    table = np.ones(_TABLE_ITEMS)
    places = np.random.default_rng(0).integers(0, _TABLE_ITEMS, (16, _GATHERED))
    out = np.empty(_GATHERED)
    turn = 0

    def step() -> float:
        nonlocal turn
        turn = (turn + 1) % len(places)
        np.take(table, places[turn], out=out, mode="clip")
        return float(_GATHERED)

    return step
