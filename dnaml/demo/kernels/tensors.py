"""Kernels on torch tensors: products in three precisions, and convolutions.

torch is imported inside the functions, and keeps one thread, so that a run's CPU time is one core's. Inputs are drawn
by numpy in each call, which costs 2-5 % of a kernel's time.
"""

from typing import TYPE_CHECKING

import numpy as np

from dnaml.demo.kernels.arrays import drawn

if TYPE_CHECKING:
    from torch import Tensor

_CHANNELS = 16
_SIDE = 64
_LAYERS = 6
FLOP_PER_TILE = 2.0 * _LAYERS * (_SIDE * _CHANNELS) ** 2 * 9
"""multiplications and additions of one tile"""


def _uniform(seed: int, *shape: int) -> "Tensor":
    import torch

    torch.set_num_threads(1)
    return torch.from_numpy(drawn(seed).random(shape, dtype=np.float32))


def matmul_fp32(size: int, seed: int = 0) -> float:
    """Multiply two fp32 matrices of side `size` with the BLAS of torch (MKL)."""
    a = _uniform(seed, size, size)
    return float((a @ a).trace())


def matmul_bf16(size: int, seed: int = 0) -> float:
    """Multiply bf16 matrices of side `size`, the second transposed as in a linear layer, with oneDNN."""
    a = _uniform(seed, size, size).bfloat16()
    return float((a @ a.T).float().trace())


def matmul_int8(size: int, seed: int = 0) -> int:
    """Multiply two int8 matrices of side `size` into int32 with oneDNN."""
    import torch

    torch.set_num_threads(1)
    a = torch.from_numpy(drawn(seed).integers(-100, 100, (size, size), dtype=np.int8))
    return int(torch._int_mm(a, a).trace())


def convolve_tiles(size: int, seed: int = 0) -> float:
    """Pass `size` tiles of 64 x 64 with 16 channels, one after the other, through 6 convolutions of 3 x 3 (oneDNN)."""
    import torch

    tiles = _uniform(seed, 4, 1, _CHANNELS, _SIDE, _SIDE)
    weights = _uniform(seed + 1, _CHANNELS, _CHANNELS, 3, 3) / (9 * _CHANNELS / 2)
    total = 0.0
    with torch.inference_mode():
        for k in range(size):
            tile = tiles[k % 4]
            for _ in range(_LAYERS):
                tile = torch.nn.functional.conv2d(tile, weights, padding=1)
            total += float(tile.sum())
    return total
