"""Arrays and tensors as safetensors, written as a stream and read without a copy.

The safetensors library builds the whole file in memory (100 MB: 0.8 s); the format is a JSON header and raw bytes, so
it is written here. What its header cannot say (dates, complex128, column order, torch parameters) stands in a note in
its metadata. numpy and torch are touched only if the state's own values brought them in.
"""

import json
import struct
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from dnaml.core.errors import CorruptError

# Values are numpy arrays and scalars or torch tensors, which this module must not import to name: hence Any.
_NUMPY = {
    "<f8": "F64", "<f4": "F32", "<f2": "F16", "<i8": "I64", "<i4": "I32", "<i2": "I16", "|i1": "I8",
    "<u8": "U64", "<u4": "U32", "<u2": "U16", "|u1": "U8", "|b1": "BOOL",
}  # fmt: skip
_TORCH = {
    "float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16", "int64": "I64", "int32": "I32",
    "int16": "I16", "int8": "I8", "uint8": "U8", "uint16": "U16", "uint32": "U32", "uint64": "U64", "bool": "BOOL",
    "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2",
}  # fmt: skip
_TORCH_RAW = ("complex64", "complex128")
_RAW = "U8"  # the type under which safetensors sees bytes that it has no name for
_KINDS = frozenset("biufcmMSUV")  # numpy's types without pointers
_ALIGN = 16
_LENGTH = struct.Struct("<Q")


@dataclass(slots=True, kw_only=True)
class Stored:
    """One array ready to be written: how safetensors calls it, and what is needed to make the same object again."""

    dtype: str
    shape: tuple[int, ...]
    size_bytes: int
    align_bytes: int
    value: Any
    note: dict[str, Any] = field(default_factory=dict)

    def view(self) -> memoryview:
        """Return the bytes, in the machine's own memory where they are contiguous there."""
        if not self.size_bytes:
            return memoryview(b"")
        if self.note["of"] == "numpy":
            return memoryview(_contiguous(self.value, self.note).reshape(-1).view("u1"))
        import torch

        tensor = self.value.detach().cpu().contiguous().resolve_conj().resolve_neg()
        return memoryview(tensor.reshape(-1).view(torch.uint8).numpy())


def is_array(value: Any) -> bool:
    """Say whether a value is a numpy array or a torch tensor that raw bytes can hold in full."""
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if numpy is not None and type(value) is numpy.ndarray:
        return _is_plain(value.dtype)
    if torch is not None and type(value) in (torch.Tensor, torch.nn.Parameter):
        plain = value.layout is torch.strided and not value.is_quantized and value.device.type != "meta"
        return plain and _torch_name(value.dtype) in (*_TORCH, *_TORCH_RAW)
    return False


def is_scalar(value: Any) -> bool:
    """Say whether a value is a numpy scalar that its type and bytes say in full."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.generic) and _is_plain(value.dtype)


def stored(value: Any) -> Stored:
    """Describe an array for which `is_array` holds."""
    return _stored_numpy(value) if type(value).__module__.partition(".")[0] == "numpy" else _stored_torch(value)


def header(arrays: Sequence[Stored]) -> tuple[bytes, list[int]]:
    """Return the safetensors header for arrays named "0", "1", ..., and the order in which their bytes follow.

    The widest types come first, so that every array is aligned if the section starts at a multiple of 16.
    """
    order = sorted(range(len(arrays)), key=lambda number: -arrays[number].align_bytes)
    entries: dict[str, Any] = {"__metadata__": {"notes": json.dumps([array.note for array in arrays])}}
    end = 0
    for number in order:
        array, start = arrays[number], end
        end = start + array.size_bytes
        entries[str(number)] = {"dtype": array.dtype, "shape": array.shape, "data_offsets": (start, end)}
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-(_LENGTH.size + len(text)) % _ALIGN)
    return _LENGTH.pack(len(text)) + text, order


def readers(section: memoryview) -> list[Callable[[], Any]]:
    """Return for each array of a section a function that makes it, as a view of the section's own memory."""
    try:
        (length,) = _LENGTH.unpack_from(section)
        body = section[_LENGTH.size + length :]
        entries = json.loads(bytes(section[_LENGTH.size : _LENGTH.size + length]))
        notes = json.loads(entries.pop("__metadata__")["notes"])
        return [_reader(entries[str(number)], note, body) for number, note in enumerate(notes)]
    except (struct.error, KeyError, TypeError, ValueError) as error:
        raise CorruptError(f"array section must have a safetensors header, got {error!r}") from error


def _reader(entry: dict[str, Any], note: dict[str, Any], body: memoryview) -> Callable[[], Any]:
    start, end = entry["data_offsets"]
    if not 0 <= start <= end <= len(body):
        raise ValueError(f"bytes {start}-{end} of {len(body)}")
    make = _numpy_from if note["of"] == "numpy" else _torch_from
    return lambda: make(note, tuple(note["shape"]), body[start:end])


def _is_plain(dtype: Any) -> bool:
    """Say whether a numpy type has neither pointers nor fields nor a width of zero."""
    return dtype.kind in _KINDS and not dtype.hasobject and dtype.names is None and dtype.itemsize > 0


def _stored_numpy(value: Any) -> Stored:
    """Describe a numpy array; what safetensors cannot name is stored as its raw bytes."""
    dtype = value.dtype
    note = {"of": "numpy", "dtype": dtype.str, "shape": value.shape}
    if value.flags.f_contiguous and not value.flags.c_contiguous:
        note["columns"] = True
    shape = tuple(reversed(value.shape)) if "columns" in note else value.shape
    name = _NUMPY.get(dtype.str, _RAW)
    return Stored(
        dtype=name,
        shape=shape if dtype.str in _NUMPY else (value.nbytes,),
        size_bytes=value.nbytes,
        align_bytes=dtype.alignment,
        value=value,
        note=note,
    )


def _contiguous(value: Any, note: dict[str, Any]) -> Any:
    import numpy

    return numpy.ascontiguousarray(value.T if "columns" in note else value)


def _numpy_from(note: dict[str, Any], shape: tuple[int, ...], data: memoryview) -> Any:
    import numpy

    flat = numpy.frombuffer(data, dtype=note["dtype"]) if len(data) else numpy.empty(0, dtype=note["dtype"])
    return flat.reshape(shape, order="F" if "columns" in note else "C")


def _stored_torch(value: Any) -> Stored:
    """Describe a torch tensor, wherever it lives."""
    import torch

    name, size_bytes = _torch_name(value.dtype), value.numel() * value.element_size()
    note = {"of": "torch", "dtype": name, "shape": tuple(value.shape), "grad": value.requires_grad}
    if type(value) is torch.nn.Parameter:
        note["parameter"] = True
    return Stored(
        dtype=_TORCH.get(name, _RAW),
        shape=tuple(value.shape) if name in _TORCH else (size_bytes,),
        size_bytes=size_bytes,
        align_bytes=value.element_size(),
        value=value,
        note=note,
    )


def _torch_from(note: dict[str, Any], shape: tuple[int, ...], data: memoryview) -> Any:
    import torch

    dtype = getattr(torch, note["dtype"])
    if len(data):
        tensor = torch.frombuffer(data, dtype=torch.uint8).view(dtype).reshape(shape)
    else:
        tensor = torch.empty(shape, dtype=dtype)
    if "parameter" in note:
        return torch.nn.Parameter(tensor, requires_grad=note["grad"])
    return tensor.requires_grad_(note["grad"])


def _torch_name(dtype: Any) -> str:
    return str(dtype).removeprefix("torch.")


def chunks(view: memoryview, size_bytes: int = 1 << 22) -> Iterator[memoryview]:
    """Yield a view in pieces that stay in the cache between digest and write."""
    for start in range(0, len(view), size_bytes):
        yield view[start : start + size_bytes]
