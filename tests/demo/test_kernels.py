"""The demo's kernels do the work they are named for, alike for equal seeds, and take up a training where it stopped."""

import hashlib
import math
import pickle
import statistics
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest

from dnaml.demo.kernels import KERNELS, Kernel, arrays, learning, tensors, text
from dnaml.demo.kernels.arrays import drawn
from dnaml.execution.checkpoints import CheckpointStore
from dnaml.execution.context import Context

EVERY_KERNEL = pytest.mark.parametrize("kernel", KERNELS.values(), ids=list(KERNELS))
REQUIRED = {
    "matmul_fp64",
    "matmul_fp32",
    "matmul_bf16",
    "spectrum_fft",
    "sort_fp64",
    "group_sums",
    "compress_text",
    "hash_sha256",
    "gather_random",
    "fit_pca",
    "train_mlp",
    "parse_table",
}


def test_the_suite_has_every_kind_of_work() -> None:
    assert set(KERNELS) >= REQUIRED
    assert all(name == kernel.name == kernel.function.__name__ for name, kernel in KERNELS.items())


@EVERY_KERNEL
def test_a_kernel_is_alike_for_equal_seeds_and_differs_for_others(kernel: Kernel) -> None:
    size = kernel.sizes[0]
    once, again = kernel.run(size, 1), kernel.run(size, 1)
    assert once == again
    assert once != kernel.run(size, 2)


@EVERY_KERNEL
def test_a_kernel_has_three_rising_sizes_and_travels_by_name(kernel: Kernel) -> None:
    small, medium, large = kernel.sizes
    assert small < medium < large
    assert pickle.loads(pickle.dumps(kernel.function)) is kernel.function
    assert len(pickle.dumps(kernel.function)) < 200


@EVERY_KERNEL
def test_a_kernel_at_a_size_is_a_computation(kernel: Kernel) -> None:
    computation = kernel.computation(kernel.sizes[1])
    assert computation.id == f"{kernel.name}-{kernel.sizes[1]}"
    assert computation.kernel == kernel.name
    assert computation.size == {"size": float(kernel.sizes[1])}
    assert computation.checkpointable is (kernel.name == "train_mlp")
    assert all(value > 0 for value in computation.demand.values())


def test_a_kernel_without_formula_declares_no_demand() -> None:
    assert KERNELS["parse_table"].computation(10).demand == {}
    assert set(KERNELS["sort_fp64"].computation(10).demand) == {"working_set_bytes"}
    assert KERNELS["matmul_fp64"].computation(10).demand == {
        "flop": 2000.0,
        "fp64_share": 1.0,
        "working_set_bytes": 1600.0,
    }


def test_products_equal_those_made_by_hand() -> None:
    a = drawn(3).random((4, 4))
    assert arrays.matmul_fp64(4, 3) == pytest.approx(sum(a[i, k] * a[k, i] for i in range(4) for k in range(4)))
    b = drawn(3).random((4, 4), dtype=np.float32).astype(float)
    assert tensors.matmul_fp32(4, 3) == pytest.approx(sum(b[i, k] * b[k, i] for i in range(4) for k in range(4)))
    assert tensors.matmul_bf16(4, 3) == pytest.approx((b**2).sum(), rel=0.02)
    c = drawn(3).integers(-100, 100, (24, 24), dtype=np.int8).astype(int)
    assert tensors.matmul_int8(24, 3) == np.trace(c @ c)


def test_sorting_finds_the_median_and_grouping_the_largest_sum() -> None:
    assert arrays.sort_fp64(101, 5) == statistics.median(drawn(5).random(101))
    random = drawn(5)
    keys, values = random.integers(0, 5_000, 20_000, dtype=np.int32), random.random(20_000)
    sums: dict[int, float] = {}
    for key, value in zip(keys.tolist(), values.tolist(), strict=True):
        sums[key] = sums.get(key, 0.0) + value
    assert arrays.group_sums(20_000, 5) == pytest.approx(max(sums.values()))


def test_special_functions_agree_with_the_mathematics_library() -> None:
    points = (drawn(2).random(1_000) + 0.5).tolist()
    by_hand = sum(x**1.7 + math.log1p(x) + math.expm1(-x) + math.atan(x) + math.cbrt(x) for x in points)
    assert arrays.special_functions(1, 2) == pytest.approx(by_hand, rel=1e-12)


def test_streaming_and_gathering_read_what_they_say() -> None:
    x = drawn(1).random(64, dtype=np.float32).astype(float)
    y = x
    for _ in range(10):
        y = y * 0.5 + x - x * y
    assert arrays.stream_fp32(64, 1) == pytest.approx(y.sum(), rel=1e-5)
    random = drawn(1)
    table = random.random(1 << 22, dtype=np.float32)
    places = random.integers(0, 1 << 22, 50, dtype=np.int32).tolist()
    by_hand = sum(float(table[place ^ k]) for place in places for k in range(4))
    assert arrays.gather_random(50, 1) == pytest.approx(by_hand)


def test_a_filtered_signal_keeps_its_scale() -> None:
    assert 0 < arrays.spectrum_fft(1, 1) <= 200 * 512


def test_hashing_and_compressing_are_those_of_the_libraries() -> None:
    block = drawn(4).bytes(1 << 22)
    assert text.hash_sha256(8, 4) == hashlib.sha256(block * 2).hexdigest()
    letters = drawn(4).integers(97, 105, 2_000, dtype=np.uint8).tobytes()
    assert text.compress_text(2, 4) == len(zlib.compress(letters, 3)) < 2_000


def test_text_kernels_read_back_what_they_wrote() -> None:
    per_line = [i * 7919 + i * 31 + 1000 + i * 17 + 5000 + i * 13 + 999 + i * 3 + 70000 + i + 90000 for i in (1, 2)]
    assert text.parse_table(2, 1) == sum(per_line) + 1
    assert text.json_round_trip(2, 9) == sum(i * 31 + 5000 for i in range(9, 2009))
    assert text.match_pattern(1, 9) == sum(i * 7 % 977 for i in range(9, 1009))


def test_stated_operations_are_those_that_torch_counts() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        learning.train_mlp(2)
    assert counter.get_total_flops() == 2 * learning.FLOP_PER_STEP
    with FlopCounterMode(display=False) as counter:
        tensors.convolve_tiles(3)
    assert counter.get_total_flops() == 3 * tensors.FLOP_PER_TILE


def test_the_components_found_explain_less_than_all_columns_vary() -> None:
    rows = drawn(1).random((400, 160))
    assert 0 < learning.fit_pca(400, 1) < rows.var(axis=0, ddof=1).sum()


def test_training_lowers_the_loss() -> None:
    assert learning.train_mlp(40, 1) < 0.8 * learning.train_mlp(1, 1)


def test_a_training_goes_on_from_its_checkpoint_to_the_same_loss(tmp_path: Path) -> None:
    store, stop = CheckpointStore(tmp_path), threading.Event()
    sealed: list[str] = []

    def after(checkpoint: object, *_: object) -> None:
        sealed.append(getattr(checkpoint, "id", ""))
        if len(sealed) == 4:
            stop.set()

    first = Context(
        store=store, job_id="j", computation_id="c", attempt_id="a1", epoch=1,
        checkpoint_every_s=0.0, report=after, stop=stop,
    )  # fmt: skip
    learning.train_mlp(12, 7, context=first)
    assert 4 / 12 <= first.progress < 1
    second = Context(store=store, job_id="j", computation_id="c", attempt_id="a2", epoch=2, checkpoint_id=sealed[-1])
    assert learning.train_mlp(12, 7, context=second) == learning.train_mlp(12, 7)
    assert second.progress == 1


def test_a_plain_context_changes_nothing() -> None:
    assert learning.train_mlp(3, 1, context=Context.plain()) == learning.train_mlp(3, 1)


def test_the_registry_imports_no_heavy_package_and_warming_up_imports_all() -> None:
    code = """
import sys
from dnaml.demo.kernels import KERNELS, warm_up
heavy = {"torch", "sklearn", "pandas", "scipy"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
assert warm_up() == len(KERNELS)
known = set(sys.modules)
for kernel in KERNELS.values():
    kernel.run(kernel.sizes[0], 1)
print(sorted(set(sys.modules) - known))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
