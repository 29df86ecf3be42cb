"""Probes of arithmetic: what numpy, torch and Python themselves reach on one core under the caps now in force."""

import hashlib
from contextlib import ExitStack
from functools import partial
from typing import Any

from dnaml.telemetry.probes import Probe, Step

_MATRIX = 384  # 113 MFLOP a product: 1 ms at 100 GFLOP/s; operands of 1 MB stay in cache
_SMALL_MATRIX = 256  # for bf16 and int8, which a capped library may run 80 times slower
_HASHED_BYTES = 1 << 18
_LOOP = 5_000
_SORTED = 50_000
_VECTOR = 1 << 14


def compute_probes() -> list[Probe]:
    """Return the probes of arithmetic, on the CPU clock."""
    return [
        Probe(key="fp64_flop_per_s", setup=partial(_numpy_product, dtype="float64")),
        Probe(key="fp32_flop_per_s", setup=partial(_numpy_product, dtype="float32")),
        Probe(key="torch_fp64_flop_per_s", setup=partial(_torch_product, dtype="float64", side=_MATRIX)),
        Probe(key="torch_fp32_flop_per_s", setup=partial(_torch_product, dtype="float32", side=_MATRIX)),
        Probe(key="bf16_flop_per_s", setup=partial(_torch_product, dtype="bfloat16", side=_SMALL_MATRIX)),
        Probe(key="int8_op_per_s", setup=_torch_int8_product),
        Probe(key="vector_exp_per_s", setup=_exponentials),
        Probe(key="sort_items_per_s", setup=_sorting),
        Probe(key="hash_bytes_per_s", setup=_hashing),
        Probe(key="python_ops_per_s", setup=python_loop),
    ]


def _numpy_product(stack: ExitStack, *, dtype: str) -> Step:
    """Multiply matrices with numpy's BLAS (OpenBLAS, or Accelerate on macOS)."""
    import numpy as np

    a = np.random.default_rng(0).random((_MATRIX, _MATRIX)).astype(dtype)
    out = np.empty_like(a)

    def step() -> float:
        np.dot(a, a, out=out)
        return 2.0 * _MATRIX**3

    step()
    return step


def _torch() -> Any:  # Any: torch is imported inside the probe process alone, its functions are looked up by name
    import torch

    torch.set_num_threads(1)
    return torch


def _torch_product(stack: ExitStack, *, dtype: str, side: int) -> Step:
    """Multiply matrices with torch's BLAS (MKL) or, for bf16, oneDNN."""
    torch = _torch()
    a = torch.rand(side, side, generator=torch.Generator().manual_seed(0)).to(getattr(torch, dtype))

    def step() -> float:
        torch.mm(a, a)
        return 2.0 * side**3

    step()
    return step


def _torch_int8_product(stack: ExitStack) -> Step:
    """Multiply int8 matrices into int32 with oneDNN."""
    torch = _torch()
    a = torch.randint(-100, 100, (_SMALL_MATRIX, _SMALL_MATRIX), dtype=torch.int8)

    def step() -> float:
        torch._int_mm(a, a)
        return 2.0 * _SMALL_MATRIX**3

    step()
    return step


def _exponentials(stack: ExitStack) -> Step:
    """Take fp64 exponentials of a vector in cache: numpy's own vector code."""
    import numpy as np

    x = np.random.default_rng(0).random(_VECTOR)
    out = np.empty_like(x)

    def step() -> float:
        for _ in range(8):
            np.exp(x, out=out)
        return 8.0 * _VECTOR

    step()
    return step


def _sorting(stack: ExitStack) -> Step:
    """Sort fp64 numbers in random order, the copy of 0.4 MB included."""
    import numpy as np

    x = np.random.default_rng(0).random(_SORTED)
    out = np.empty_like(x)

    def step() -> float:
        np.copyto(out, x)
        out.sort()
        return float(_SORTED)

    step()
    return step


def _hashing(stack: ExitStack) -> Step:
    """Digest bytes with SHA-256 (OpenSSL)."""
    data = bytes(_HASHED_BYTES)

    def step() -> float:
        hashlib.sha256(data).digest()
        return float(_HASHED_BYTES)

    step()
    return step


def python_loop(stack: ExitStack) -> Step:
    """Run the interpreter: one multiply-add on small integers an iteration."""

    def step() -> float:
        total = 0
        for i in range(_LOOP):
            total = (total + i * 3) & 0xFFFF
        return float(_LOOP)

    step()
    return step
