"""Arrays come back bit for bit, from a section that the safetensors library reads too."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load as load_by_library

from dnaml.core.errors import CorruptError
from dnaml.execution import tensors

RNG = np.random.default_rng(0)
NUMPY = {
    "f8": RNG.random((3, 4)),
    "f4 with nan": np.array([np.nan, np.inf, -0.0], dtype=np.float32),
    "f2": RNG.random(5).astype(np.float16),
    "i8": RNG.integers(-5, 5, (2, 3, 4)),
    "u2": np.arange(7, dtype=np.uint16),
    "bool": np.array([True, False]),
    "c16": RNG.random(3) + 1j,
    "big-endian": np.arange(3, dtype=">f8"),
    "dates": np.array(["2020-01-01", "NaT"], dtype="M8[ns]"),
    "text": np.array(["a", "longer"]),
    "column order": np.asfortranarray(RNG.random((3, 4))),
    "a strided view": RNG.random((6, 6))[::2, 1::3],
    "empty": np.empty((0, 3)),
    "no axis": np.array(3.5),
}
TORCH = {
    "f4": torch.rand(3, 4),
    "bf16": torch.rand(5).to(torch.bfloat16),
    "c8": torch.complex(torch.rand(3), torch.rand(3)),
    "conjugated": torch.complex(torch.rand(3), torch.rand(3)).conj(),
    "c16": torch.complex(torch.rand(3).double(), torch.rand(3).double()),
    "f8": torch.rand(4).to(torch.float8_e4m3fn),
    "bool": torch.tensor([True, False]),
    "u4": torch.tensor([1, 2], dtype=torch.uint32),
    "transposed": torch.rand(3, 4).T,
    "with gradient": torch.rand(3, requires_grad=True),
    "no axis": torch.tensor(2),
    "empty": torch.empty(0, 2),
}


def section(values: list[Any]) -> memoryview:
    """Return the bytes that a checkpoint would hold for the values."""
    arrays = [tensors.stored(value) for value in values]
    head, order = tensors.header(arrays)
    chunks = (chunk for number in order for chunk in tensors.chunks(arrays[number].view(), 16))
    return memoryview(bytearray(head + b"".join(chunks)))


def back(values: list[Any]) -> list[Any]:
    return [make() for make in tensors.readers(section(values))]


@pytest.mark.parametrize("value", NUMPY.values(), ids=NUMPY)
def test_a_numpy_array_comes_back_with_type_shape_order_and_bits(value: np.ndarray) -> None:
    assert tensors.is_array(value)
    (again,) = back([value])
    assert (again.dtype, again.shape) == (value.dtype, value.shape)
    assert again.tobytes() == value.tobytes()
    assert again.flags.f_contiguous or not np.isfortran(value)
    assert again.flags.writeable


@pytest.mark.parametrize("value", TORCH.values(), ids=TORCH)
def test_a_tensor_comes_back_with_type_shape_gradient_and_bits(value: torch.Tensor) -> None:
    assert tensors.is_array(value)
    (again,) = back([value])
    assert (type(again), again.dtype, again.shape) == (torch.Tensor, value.dtype, value.shape)
    assert again.requires_grad == value.requires_grad
    bits = [t.detach().resolve_conj().reshape(-1).contiguous().view(torch.uint8) for t in (again, value)]
    assert torch.equal(*bits)


def test_a_parameter_comes_back_as_a_parameter() -> None:
    (again,) = back([torch.nn.Parameter(torch.ones(2), requires_grad=False)])
    assert type(again) is torch.nn.Parameter
    assert not again.requires_grad


def test_the_safetensors_library_reads_the_section() -> None:
    values = [np.arange(3, dtype=np.int8), NUMPY["f8"], TORCH["bf16"], NUMPY["column order"]]
    read = load_by_library(bytes(section([values[0], values[1], values[3]])))
    np.testing.assert_array_equal(read["0"], values[0])
    np.testing.assert_array_equal(read["1"], values[1])
    np.testing.assert_array_equal(read["2"].T, values[3])
    assert len(load_by_library(bytes(section(values[:2])))) == 2


def test_arrays_of_every_width_are_aligned_and_views_of_the_section() -> None:
    values = [np.arange(n, dtype=dtype) for n, dtype in ((3, "i1"), (1, "f8"), (5, "f2"), (2, "c16"), (7, "f4"))]
    data = section(values)
    made = [make() for make in tensors.readers(data)]
    for value, again in zip(values, made, strict=True):
        np.testing.assert_array_equal(value, again)
        assert again.flags.aligned
        assert np.shares_memory(again, np.frombuffer(data, dtype=np.uint8))


@pytest.mark.parametrize(
    "value",
    [
        np.array([object()]),
        np.zeros(2, dtype=[("a", "f8")]),
        np.ma.masked_array([1.0], [True]),
        np.zeros(1, dtype="V0"),
        torch.eye(2).to_sparse(),
        torch.empty(2, device="meta"),
        [1.0],
    ],
    ids=["objects", "fields", "masked", "no width", "sparse", "meta", "list"],
)
def test_what_raw_bytes_cannot_hold_is_left_to_others(value: Any) -> None:
    assert not tensors.is_array(value)


def test_a_scalar_of_numpy_is_a_scalar_and_no_array() -> None:
    assert tensors.is_scalar(np.float32(1))
    assert not tensors.is_array(np.float32(1))
    assert not tensors.is_scalar(1.0)


@pytest.mark.parametrize("data", [b"", b"\0" * 4, b"\2" + b"\0" * 7 + b"{}", b"\xff" * 9])
def test_a_section_without_a_header_is_refused(data: bytes) -> None:
    with pytest.raises(CorruptError, match="safetensors header"):
        tensors.readers(memoryview(bytearray(data)))


def test_a_header_that_points_outside_the_section_is_refused() -> None:
    data = section([np.arange(4)])
    with pytest.raises(CorruptError, match="safetensors header"):
        tensors.readers(data[:-1])


def test_looking_for_arrays_imports_neither_numpy_nor_torch() -> None:
    code = (
        "import sys; from dnaml.execution import state_codec, tensors\n"
        "state_codec.pack({'a': [1, 2.0]}); assert not tensors.is_scalar(1)\n"
        "assert not {'numpy', 'torch', 'safetensors', 'cloudpickle'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
