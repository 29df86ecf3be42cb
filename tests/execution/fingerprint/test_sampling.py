"""Sampling frames finds the precision of the arrays that a function holds."""

import sys
import threading
import time
from types import FrameType, SimpleNamespace

import numpy as np
import pytest

from dnaml.execution.fingerprint.sampling import FrameSampler, _held, precision_of


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [
        ("float64", "fp64"), ("complex128", "fp64"), ("float32", "fp32"), ("torch.float32", "fp32"),
        ("torch.bfloat16", "low"), ("float16", "low"), ("int64", "integer"), ("bool", "integer"), ("object", "integer"),
    ],
)  # fmt: skip
def test_every_dtype_has_a_kind(dtype: str, kind: str) -> None:
    assert precision_of(dtype) == kind


def sampled(function: object) -> FrameSampler:
    snapshots: list[int] = []
    sampler = FrameSampler(threading.get_ident(), sampled.__code__, lambda: snapshots.append(1))
    sampler.start()
    function()  # type: ignore[operator]
    sampler.stop()
    return sampler


def test_the_arrays_of_the_innermost_frame_that_has_some_are_counted() -> None:
    def outer() -> None:
        big = np.ones(1000, dtype=np.float32)
        inner()
        assert big is not None

    def inner() -> None:
        single, double = np.ones(100, dtype=np.float32), np.ones(150)
        end_s = time.thread_time() + 0.3
        while time.thread_time() < end_s:
            leaf(0)
        assert single is not None
        assert double is not None

    def leaf(n: int) -> int:
        return sum(range(n + 50))

    sampler = sampled(outer)
    assert sampler.samples >= 5
    known = {kind: count / sampler.samples for kind, count in sampler.counts.items()}
    assert known["fp64"] == pytest.approx(0.75, abs=0.1)
    assert known["fp32"] == pytest.approx(0.25, abs=0.1)


def test_a_thread_that_waits_is_not_sampled() -> None:
    waited = threading.Event()
    assert sampled(lambda: waited.wait(0.3)).samples <= 2


def test_arrays_in_lists_and_in_attributes_are_found() -> None:
    def frame_of(value: object) -> FrameType:
        assert value is not None
        return sys._getframe()

    array = np.ones(4, dtype=np.float32)
    assert _held(frame_of([array, array])) == {"fp32": 32.0}
    assert _held(frame_of(SimpleNamespace(weights=array))) == {"fp32": 16.0}
    assert _held(frame_of(5)) == {}
