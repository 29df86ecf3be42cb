"""Kernels on numpy arrays: products, transforms, sorting, grouping, special functions, streaming and random reads.

Inputs are drawn anew in each call, because a kept input would make the second run of a size cheaper than the first;
drawing them is 5-20 % of a kernel's time. Each returns a number that depends on all of its work.
"""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

_FFT_LENGTH = 512
_SIGNALS = 200
_GROUPS = 5_000
_TABLE_ITEMS = 1 << 22  # 16 MiB of float32: beyond the second cache, and beyond what 4 KiB pages keep in the TLB
_TABLE_ROUNDS = 4
_STREAM_ROUNDS = 10
_POINTS = 1_000


def drawn(seed: int) -> np.random.Generator:
    """Return the cheapest good generator of numpy for a seed."""
    return np.random.Generator(np.random.SFC64(seed))


def matmul_fp64(size: int, seed: int = 0) -> float:
    """Multiply two fp64 matrices of side `size` with the BLAS of numpy."""
    a = drawn(seed).random((size, size))
    return float((a @ a).trace())


def spectrum_fft(size: int, seed: int = 0) -> float:
    """Filter 200 signals of 512 fp64 samples `size` times in the frequency domain: transforms there and back."""
    signals = drawn(seed).random((_SIGNALS, _FFT_LENGTH))
    for _ in range(size):
        spectra = np.fft.fft(signals)
        filtered = np.fft.ifft(spectra * np.conj(spectra))
        signals = filtered.real / np.abs(filtered).max()
    return float(np.abs(signals).sum())


def sort_fp64(size: int, seed: int = 0) -> float:
    """Sort `size` fp64 numbers in random order, in place."""
    items = drawn(seed).random(size)
    items.sort()
    return float(items[size // 2])


def group_sums(size: int, seed: int = 0) -> float:
    """Group `size` rows by one of 5000 integer keys and sum the values of each group, by sorting the keys."""
    random = drawn(seed)
    keys = random.integers(0, _GROUPS, size, dtype=np.int32)
    values = random.random(size)
    order = np.argsort(keys)
    starts = np.flatnonzero(np.diff(keys[order], prepend=-1))
    return float(np.add.reduceat(values[order], starts).max())


def special_functions(size: int, seed: int = 0) -> float:
    """Evaluate powers, logarithms, arc tangents and cube roots of `size` thousand fp64 points, in cached blocks."""
    points = drawn(seed).random(_POINTS) + 0.5
    total = 0.0
    for k in range(size):
        x = points + k % 16
        total += float((np.power(x, 1.7) + np.log1p(x) + np.expm1(-x) + np.arctan(x) + np.cbrt(x)).sum())
    return total


def stream_fp32(size: int, seed: int = 0) -> float:
    """Update an array of `size` fp32 numbers ten times, each time through fresh temporary arrays."""
    x = drawn(seed).random(size, dtype=np.float32)
    y = x
    for _ in range(_STREAM_ROUNDS):
        y = (y * np.float32(0.5) + x) - x * y
    return float(y.sum(dtype=np.float64))


def gather_random(size: int, seed: int = 0) -> float:
    """Read `size` random items of a table of 16 MiB, four times over at different places."""
    random = drawn(seed)
    table = random.random(_TABLE_ITEMS, dtype=np.float32)
    places: npt.NDArray[np.int32] = random.integers(0, _TABLE_ITEMS, size, dtype=np.int32)
    total = 0.0
    for k in range(_TABLE_ROUNDS):
        total += float(table[places ^ k].sum(dtype=np.float64))
    return total
