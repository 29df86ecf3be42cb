"""The machine that others are compared with: one core of a common server of 2023, in the units of its probes.

Nothing depends on the figures being exact: they say what is usual, so that rates of unlike kinds can be put together.
"""

from collections.abc import Mapping

DISK = "disk_write_bytes_per_s"

CORE_RATES: Mapping[str, float] = {
    "fp64_flop_per_s": 4e10,
    "fp32_flop_per_s": 8e10,
    "torch_fp64_flop_per_s": 4e10,
    "torch_fp32_flop_per_s": 8e10,
    "bf16_flop_per_s": 1.6e11,
    "int8_op_per_s": 3.2e11,
    "vector_exp_per_s": 1e9,
    "sort_items_per_s": 5e7,
    "sequential_bytes_per_s": 2e10,
    "random_access_per_s": 8e6,
    "hash_bytes_per_s": 1e9,
    "python_ops_per_s": 2e7,
}
"""of the core itself; the specs of a resource name them alike"""
RATES: Mapping[str, float] = {**CORE_RATES, DISK: 5e8}
"""with its disk"""
