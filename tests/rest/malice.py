"""Files that run code or eat memory when something careless reads them: pickles in many coats, tags, bombs."""

import base64
import bz2
import gzip
import io
import json
import lzma
import os
import pickle
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np


class _Runs:
    """Calls a function with arguments when it is unpickled."""

    def __init__(self, call: Callable[..., Any], *args: object) -> None:
        self._call, self._args = call, args

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[object, ...]]:
        return self._call, self._args


def artifacts(canary: Path) -> dict[str, bytes]:
    """Return at least sixty files by name; each that runs code would make the canary."""
    return dict((*_pickles(canary), *_archives(canary), *_yaml(canary), *_tables(canary), *_headers()))


def _touch(canary: Path) -> _Runs:
    return _Runs(os.system, f"touch {canary}")


def _pickles(canary: Path) -> Iterator[tuple[str, bytes]]:
    code = f"open({str(canary)!r}, 'w').close()"
    ways = {"system": _touch(canary), "exec": _Runs(exec, code), "eval": _Runs(eval, f"open({str(canary)!r}, 'w')")}
    for name, way in ways.items():
        for protocol in range(6):
            yield f"{name}-{protocol}.pkl", pickle.dumps(way, protocol)
    body = pickle.dumps(_touch(canary))
    for suffix, pack in (("z", zlib.compress), ("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)):
        yield f"model.joblib.{suffix}", pack(body)
    yield "model.joblib", body
    yield "model.dill", body
    yield "model.npy", _npy(_touch(canary))
    yield "table.csv.pkl", body
    yield "table.parquet", body
    yield (
        "text.json",
        json.dumps({"py/reduce": [{"py/function": "os.system"}, {"py/tuple": [f"touch {canary}"]}]}).encode(),
    )
    yield "base64.json", json.dumps({"model": base64.b64encode(body).decode()}).encode()


def _npy(value: object) -> bytes:
    held = io.BytesIO()
    np.save(held, np.array([value], dtype=object), allow_pickle=True)
    return held.getvalue()


def _archives(canary: Path) -> Iterator[tuple[str, bytes]]:
    body = pickle.dumps(_touch(canary))
    for name, inner in (
        ("model.pt", "archive/data.pkl"),
        ("model.pth", "data.pkl"),
        ("model.pt2", "model/constants.pkl"),
    ):
        yield name, _zip({inner: body, "archive/version": b"3\n"})
    tree = {"__class__": "system", "__module__": "os", "__loader__": "ReduceNode", "content": f"touch {canary}"}
    yield "model.skops", _zip({"schema.json": json.dumps(tree).encode()})
    yield "model.npz", _zip({"a.npy": _npy(_touch(canary))})
    yield "slip.zip", _zip({f"../../..{canary}": b"x", str(canary): b"x"})
    yield "bomb.zip", _zip({f"{n}.bin": bytes(8 << 20) for n in range(8)})
    yield "nested.zip", _zip({"a.zip": _zip({"b.zip": _zip({"c": bytes(8 << 20)})})})
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as tar:
        for name in (f"../../..{canary}", str(canary)):
            tar.addfile(tarfile.TarInfo(name), io.BytesIO(b""))
    yield "slip.tar.gz", held.getvalue()
    yield "bomb.gz", gzip.compress(bytes(64 << 20))


def _zip(files: dict[str, bytes]) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, body in files.items():
            packed.writestr(name, body)
    return held.getvalue()


def _yaml(canary: Path) -> Iterator[tuple[str, bytes]]:
    touch = f"touch {canary}"
    for place, value in enumerate(
        (
            f"!!python/object/apply:os.system ['{touch}']",
            f"!!python/object/apply:subprocess.check_output [[touch, {canary}]]",
            f"!!python/object/new:os.system ['{touch}']",
            f'!!python/object/apply:builtins.exec [\'open("{canary}", "w")\']',
            f"!!python/object/new:type {{args: [x, [], {{extend: !!python/name:exec }}], listitems: '{touch}'}}",
            "!!python/name:os.system",
            "!!python/module:os",
            f"!!python/object:subprocess.Popen {{args: [touch, {canary}]}}",
            f"!<tag:yaml.org,2002:python/object/apply:os.system> ['{touch}']",
            f"!!ruby/object:Gem::Installer {{i: '{touch}'}}",
            f"!ENV '$({touch})'",
        )
    ):
        yield f"value{place}.yaml", f"name: x\nrun: [echo, {value}]\n".encode()
        yield f"whole{place}.yaml", f"{value}\n".encode()
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
    yield "laughs.yaml", bomb.encode()
    yield "deep.yaml", b"a: " + b"[" * 100_000
    yield "merge.yaml", b"a: &a {x: 1}\nb: {<<: [" + b"*a," * 5_000 + b"*a]}\n"
    yield "self.yaml", b"&a [*a, *a]\n"


def _tables(canary: Path) -> Iterator[tuple[str, bytes]]:
    yield "formula.csv", f"resource_id,computation_id,runtime_s\n=cmd|'/c touch {canary}'!A0,@SUM(1),1.0\n".encode()
    yield "wide.csv", b"a," * 100_000 + b"a\n"
    yield "quoted.csv", b'resource_id,computation_id,runtime_s\n"' + b"x" * 200_000
    yield "header.parquet", b"PAR1" + b"\xff" * 64 + struct.pack("<I", 0x7FFFFFFF) + b"PAR1"
    yield "deep.json", b"[" * 200_000
    yield "deep-object.json", b'{"a":' * 100_000
    yield "digits.json", b'{"n": ' + b"9" * 100_000 + b"}"
    yield "deep.toml", b"a = " + b"[" * 50_000
    yield "digits.toml", b"a = " + b"9" * 50_000


def _headers() -> Iterator[tuple[str, bytes]]:
    def tensors(head: bytes, length: int | None = None) -> bytes:
        return struct.pack("<Q", len(head) if length is None else length) + head

    cell = {"dtype": "F64", "shape": [1 << 40, 1 << 40], "data_offsets": [0, 8]}
    yield "huge.safetensors", tensors(b"{}", (1 << 63) - 1)
    yield "deep.safetensors", tensors(b'{"a":' * 50_000)
    yield "shape.safetensors", tensors(json.dumps({"a": cell}).encode()) + bytes(8)
    yield "behind.safetensors", tensors(json.dumps({"a": {**cell, "data_offsets": [-8, 1 << 50]}}).encode())
    yield "many.safetensors", tensors(json.dumps({f"a{n}": {**cell, "shape": [1]} for n in range(20_000)}).encode())
