"""The suite of real computations that the demo collects, learns and places, as one registry.

A kernel is a top-level function of (size, seed), so it travels to workers by name. Its three sizes are about 2.5 times
apart in CPU time, 15-100 ms on one core of a server of 2023.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np

from dnaml.core.types import Computation
from dnaml.demo.kernels import arrays, learning, tensors, text

Outcome = float | int | str
Work = Callable[[int], float]

_HEAP_BYTES = 256 << 20


class Precision(Enum):
    """Is the number format that nearly all arithmetic of a kernel is done in; its value is the demand it declares."""

    FP64 = "fp64_share"
    FP32 = "fp32_share"
    LOW = "low_precision_share"  # bf16 and int8


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """One computation of the suite: its function, three sizes from small to large, and what is known of it by formula.

    `flop` and `working_set_bytes` give arithmetic operations and the bytes of all arrays alive at once for a size; None
    where no formula is worth the name.
    """

    name: str
    function: Callable[..., Outcome]
    sizes: tuple[int, int, int]
    size_unit: str
    flop: Work | None = None
    working_set_bytes: Work | None = None
    precision: Precision | None = None
    checkpointable: bool = False

    def run(self, size: int, seed: int = 0) -> Outcome:
        """Run the kernel here and now."""
        return self.function(size, seed)

    def computation(self, size: int) -> Computation:
        """Return the kernel at one size as the value that is predicted and placed."""
        demand = {} if self.flop is None else {"flop": self.flop(size)}
        if self.precision is not None:
            demand[self.precision.value] = 1.0
        if self.working_set_bytes is not None:
            demand["working_set_bytes"] = self.working_set_bytes(size)
        return Computation(
            id=f"{self.name}-{size}",
            kernel=self.name,
            size={"size": float(size)},
            demand=demand,
            checkpointable=self.checkpointable,
        )


def _product(size: int) -> float:
    return 2.0 * size**3


KERNELS: Mapping[str, Kernel] = {
    kernel.name: kernel
    for kernel in (
        Kernel(
            name="matmul_fp64",
            function=arrays.matmul_fp64,
            sizes=(700, 1000, 1400),
            size_unit="side of the matrices",
            flop=_product,
            working_set_bytes=lambda n: 16.0 * n**2,
            precision=Precision.FP64,
        ),
        Kernel(
            name="spectrum_fft",
            function=arrays.spectrum_fft,
            sizes=(8, 20, 50),
            size_unit="times 200 signals of 512 samples",
            flop=lambda n: n * 200 * 2 * 5 * 512 * 9.0,  # 5 N log2 N a transform
            working_set_bytes=lambda n: 200 * 512 * 64.0,
            precision=Precision.FP64,
        ),
        Kernel(
            name="sort_fp64",
            function=arrays.sort_fp64,
            sizes=(600_000, 1_500_000, 3_600_000),
            size_unit="items",
            working_set_bytes=lambda n: 8.0 * n,
        ),
        Kernel(
            name="group_sums",
            function=arrays.group_sums,
            sizes=(300_000, 700_000, 1_600_000),
            size_unit="rows",
            working_set_bytes=lambda n: 36.0 * n,
        ),
        Kernel(
            name="special_functions",
            function=arrays.special_functions,
            sizes=(800, 2_000, 5_000),
            size_unit="thousand points",
            working_set_bytes=lambda n: 6 * 8_000.0,
            precision=Precision.FP64,
        ),
        Kernel(
            name="stream_fp32",
            function=arrays.stream_fp32,
            sizes=(1_000_000, 2_000_000, 4_000_000),
            size_unit="items",
            flop=lambda n: 40.0 * n,
            working_set_bytes=lambda n: 20.0 * n,
            precision=Precision.FP32,
        ),
        Kernel(
            name="gather_random",
            function=arrays.gather_random,
            sizes=(200_000, 550_000, 1_500_000),
            size_unit="items read four times",
            working_set_bytes=lambda n: 16.0 * 2**20 + 12.0 * n,
        ),
        Kernel(
            name="matmul_fp32",
            function=tensors.matmul_fp32,
            sizes=(800, 1_150, 1_600),
            size_unit="side of the matrices",
            flop=_product,
            working_set_bytes=lambda n: 8.0 * n**2,
            precision=Precision.FP32,
        ),
        Kernel(
            name="matmul_bf16",
            function=tensors.matmul_bf16,
            sizes=(1_100, 1_500, 2_000),
            size_unit="side of the matrices",
            flop=_product,
            working_set_bytes=lambda n: 4.0 * n**2,
            precision=Precision.LOW,
        ),
        Kernel(
            name="matmul_int8",
            function=tensors.matmul_int8,
            sizes=(1_200, 1_650, 2_300),
            size_unit="side of the matrices",
            flop=_product,
            working_set_bytes=lambda n: 5.0 * n**2,
            precision=Precision.LOW,
        ),
        Kernel(
            name="convolve_tiles",
            function=tensors.convolve_tiles,
            sizes=(10, 25, 60),
            size_unit="tiles",
            flop=lambda n: n * tensors.FLOP_PER_TILE,
            precision=Precision.FP32,
        ),
        Kernel(
            name="hash_sha256",
            function=text.hash_sha256,
            sizes=(24, 60, 140),
            size_unit="MiB",
            working_set_bytes=lambda n: 4.0 * 2**20,
        ),
        Kernel(
            name="compress_text",
            function=text.compress_text,
            sizes=(600, 1_500, 3_600),
            size_unit="kB",
            working_set_bytes=lambda n: 1_500.0 * n,
        ),
        Kernel(
            name="parse_table",
            function=text.parse_table,
            sizes=(10_000, 25_000, 60_000),
            size_unit="lines",
        ),
        Kernel(
            name="json_round_trip",
            function=text.json_round_trip,
            sizes=(12, 30, 75),
            size_unit="thousand records",
        ),
        Kernel(
            name="match_pattern",
            function=text.match_pattern,
            sizes=(30, 75, 190),
            size_unit="thousand addresses",
        ),
        Kernel(
            name="fit_pca",
            function=learning.fit_pca,
            sizes=(12_000, 30_000, 70_000),
            size_unit="rows of 160 columns",
            flop=lambda n: 2.0 * n * 160**2,
            working_set_bytes=lambda n: 8.0 * n * 160,
            precision=Precision.FP64,
        ),
        Kernel(
            name="train_mlp",
            function=learning.train_mlp,
            sizes=(10, 25, 60),
            size_unit="steps",
            flop=lambda n: n * learning.FLOP_PER_STEP,
            precision=Precision.FP32,
            checkpointable=True,
        ),
    )
}
"""every kernel by its name"""


def warm_up() -> int:
    """Bring this process to a steady state and return how many kernels ran; a worker calls it once before timed work.

    Imports torch and scikit-learn, lets libraries choose their code paths, and grows the heap to what the largest
    sizes need: 2-4 s of CPU time.
    """
    heap = np.ones(_HEAP_BYTES // 8)
    del heap
    for kernel in KERNELS.values():
        kernel.run(kernel.sizes[0])
    return len(KERNELS)
