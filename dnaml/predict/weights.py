"""A model folder: `config.json` (plain values), `weights.safetensors` (arrays), `manifest.json` (sizes and SHA-256).

Loading checks schema, sizes and digests of every file before anything in it is parsed, follows no links, and bounds
what parsing may cost; only the value classes named by the caller are ever built. Never a pickle, never code.
"""

import hashlib
import json
import math
import os
import stat
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dnaml.core.errors import CorruptError, InputError

SCHEMA = "dnaml-model-1"
CONFIG, WEIGHTS, MANIFEST = "config.json", "weights.safetensors", "manifest.json"
LARGEST_MANIFEST_BYTES = 1 << 20
LARGEST_BYTES = {CONFIG: 1 << 27, WEIGHTS: 1 << 30}
LARGEST_TEXT_BYTES = 1 << 28  # of one array of text, which is as wide as its longest entry
LONGEST_AXIS = 1 << 31
MOST_VALUES = 1 << 23  # commas and brackets of a config: a value costs some hundred bytes once parsed
DEEPEST = 64
_ODD_FLOATS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
# What parsing and building raise on values of a wrong shape; no code of the file's runs, so no more can come.
_WRONG = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)

Arrays = dict[str, "np.ndarray[Any, np.dtype[Any]]"]  # of any shape and number type
Json = Any  # what json reads and writes


def save_model(folder: str | os.PathLike[str], value: object, *, compact: bool = False) -> Path:
    """Write a value (dataclasses of plain values and arrays) as a model folder; the manifest comes last.

    A compact one keeps arrays of floats in 32 bits: half the size, and answers that differ in the seventh digit.
    """
    from safetensors.numpy import save

    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    arrays: Arrays = {}
    config = json.dumps({"schema": SCHEMA, "model": _packed(value, arrays, "m")}, allow_nan=False).encode()
    if compact:
        arrays = {name: a.astype(np.float32) if a.dtype == np.float64 else a for name, a in arrays.items()}
    blobs = {CONFIG: config, WEIGHTS: save(arrays)}
    files = {name: {"size": len(blob), "sha256": hashlib.sha256(blob).hexdigest()} for name, blob in blobs.items()}
    blobs[MANIFEST] = json.dumps({"schema": SCHEMA, "files": files}, indent=1).encode()
    for name, blob in blobs.items():
        part = path / f".{name}.part"
        part.write_bytes(blob)
        os.replace(part, path / name)
    return path


def load_model(folder: str | os.PathLike[str], classes: Mapping[str, type]) -> Any:
    """Return the value of a model folder, built of these dataclasses alone.

    Raises InputError when there is no model there, CorruptError when a file is short, changed or of another schema.
    """
    path = Path(folder)
    blobs = _checked(path)
    try:
        config = _parsed(blobs[CONFIG])
        if config["schema"] != SCHEMA:
            raise CorruptError(f"{path / CONFIG}: schema must be {SCHEMA!r}, got {config['schema']!r}")
        model = config["model"]
    except _WRONG as error:
        raise CorruptError(f"{path / CONFIG}: must be strict JSON of known values: {_short(error)}") from error
    arrays = _arrays(path, blobs[WEIGHTS])
    try:
        return _unpacked(model, arrays, classes, 0)
    except _WRONG as error:
        raise CorruptError(f"{path}: the model must be made of known values: {_short(error)}") from error


def by_name(*classes: type) -> dict[str, type]:
    """Return classes by the name they are stored under; raise InputError when two share one.

    >>> by_name(Path)["Path"] is Path
    True
    """
    found = {one.__name__: one for one in classes}
    if len(found) < len(set(classes)):
        twice = sorted({one.__name__ for one in classes if found[one.__name__] is not one})
        raise InputError(f"model classes: each must have a name of its own, got two named {twice[0]}")
    return found


def digest_of(folder: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a model folder's manifest: the model's version."""
    return hashlib.sha256(_read(Path(folder) / MANIFEST, LARGEST_MANIFEST_BYTES)).hexdigest()


def _checked(path: Path) -> dict[str, bytes]:
    """Return the files' bytes, each proven to be what the manifest says."""
    manifest = path / MANIFEST
    if not os.path.lexists(manifest):
        raise InputError(f"{path}: a model folder must hold {MANIFEST}, got none")
    blob = _read(manifest, LARGEST_MANIFEST_BYTES)
    try:
        said = _parsed(blob)
        schema, files = said["schema"], said["files"]
        listed = {name: (file["size"], file["sha256"]) for name, file in files.items()}
    except _WRONG as error:
        raise CorruptError(f"{manifest}: must be the manifest of a model: {_short(error)}") from error
    if schema != SCHEMA:
        raise CorruptError(f"{manifest}: schema must be {SCHEMA!r}, got {schema!r}")
    if sorted(listed) != sorted(LARGEST_BYTES):
        raise CorruptError(f"{manifest}: must list {sorted(LARGEST_BYTES)}, got {sorted(listed)[:8]}")
    blobs = {}
    for name, (size, digest) in listed.items():
        file = path / name
        blobs[name] = _read(file, LARGEST_BYTES[name])
        if type(size) is not int or len(blobs[name]) != size:
            raise CorruptError(f"{file}: must be {size!r} bytes, got {len(blobs[name])}")
        if hashlib.sha256(blobs[name]).hexdigest() != digest:
            raise CorruptError(f"{file}: must have SHA-256 {digest!r}, got another")
    return blobs


def _read(file: Path, most_bytes: int) -> bytes:
    """Return the bytes of a plain file; a link, a pipe, a device or one too large is refused unread."""
    try:
        handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise CorruptError(f"{file}: must be a readable plain file: {error.strerror}") from error
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise CorruptError(f"{file}: must be a plain file, got {stat.filemode(status.st_mode)}")
        if status.st_size > most_bytes:
            raise CorruptError(f"{file}: must be at most {most_bytes} bytes, got {status.st_size}")
        with os.fdopen(handle, "rb", closefd=False) as opened:
            return opened.read(status.st_size + 1)
    finally:
        os.close(handle)


def _parsed(blob: bytes) -> Json:
    """Return strict JSON: no key twice, no NaN or infinity, no number beyond a float, not too many values."""
    values = blob.count(b",") + blob.count(b"[") + blob.count(b"{")
    if values > MOST_VALUES:
        raise ValueError(f"must have at most {MOST_VALUES} values, got {values}")
    return json.loads(blob.decode("utf-8"), object_pairs_hook=_object, parse_constant=_constant, parse_float=_finite)


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"a key must stand once, got {[key for key, _ in pairs][:8]}")
    return found


def _constant(text: str) -> Json:
    raise ValueError(f"numbers must be finite, got {text}")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"numbers must be finite, got {text[:40]}")
    return value


def _arrays(path: Path, blob: bytes) -> Arrays:
    """Return the arrays of a safetensors file; its parser proves that shapes, types and offsets fit the bytes."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays: Arrays = load(blob)
    except (SafetensorError, *_WRONG) as error:
        raise CorruptError(f"{path / WEIGHTS}: must be a safetensors file: {_short(error)}") from error
    longest = max((axis for array in arrays.values() for axis in array.shape), default=0)
    if longest > LONGEST_AXIS:  # only beside an axis of length 0, else the bytes would not fit
        raise CorruptError(f"{path / WEIGHTS}: an axis must be at most {LONGEST_AXIS} long, got {longest}")
    return arrays


def _short(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:200]


def _packed(value: object, arrays: Arrays, place: str) -> Json:
    if isinstance(value, float):
        finite = math.isfinite(value)
        return float(value) if finite else {"@": "float", "of": str(float(value))}
    if value is None or isinstance(value, (bool, int, str)):
        return int(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if isinstance(value, np.ndarray):
        if value.dtype.kind == "U" and value.ndim == 1:
            return {"@": "text", "of": value.tolist()}
        if value.dtype.kind not in "fiub":
            raise InputError(f"{place}: an array must hold numbers, or text in one axis, got {value.dtype}")
        arrays[place] = np.ascontiguousarray(value)
        return {"@": "array", "of": place}
    if isinstance(value, (tuple, list)):
        return {"@": "tuple", "of": [_packed(v, arrays, f"{place}.{i}") for i, v in enumerate(value)]}
    if isinstance(value, Mapping):
        items = enumerate(value.items())
        return {
            "@": "map",
            "of": [[_packed(k, arrays, f"{place}.{i}k"), _packed(v, arrays, f"{place}.{i}")] for i, (k, v) in items],
        }
    if is_dataclass(value):
        kept = [f.name for f in fields(value) if not f.name.startswith("_")]
        return {"@": type(value).__name__, "of": {n: _packed(getattr(value, n), arrays, f"{place}.{n}") for n in kept}}
    raise InputError(f"{place}: a model must be made of plain values, arrays and dataclasses, got {type(value)}")


def _unpacked(value: Json, arrays: Arrays, classes: Mapping[str, type], depth: int) -> Any:
    if depth > DEEPEST:
        raise ValueError(f"nested deeper than {DEEPEST}")
    if not isinstance(value, dict):
        return value
    kind, of = value["@"], value["of"]
    if len(value) != 2:
        raise ValueError(f"a value must have '@' and 'of' alone, got {sorted(value)[:8]}")
    if kind == "array":
        found = arrays[of]
        return found.astype(np.float64) if found.dtype == np.float32 else found  # a compact model is computed in full
    if kind == "float":
        return _ODD_FLOATS[of]
    if kind == "text":
        return _text(of)
    if kind == "tuple":
        return tuple(_unpacked(v, arrays, classes, depth + 1) for v in of)
    if kind == "map":
        return {_unpacked(k, arrays, classes, depth + 1): _unpacked(v, arrays, classes, depth + 1) for k, v in of}
    return classes[kind](**{name: _unpacked(v, arrays, classes, depth + 1) for name, v in of.items()})


def _text(of: Json) -> "np.ndarray[Any, np.dtype[np.str_]]":
    """Return an array of text; every entry takes the room of the longest, so that is bounded first."""
    if not isinstance(of, list) or not all(isinstance(one, str) for one in of):
        raise ValueError("text must be a list of strings")
    room = 4 * len(of) * max(map(len, of), default=0)
    if room > LARGEST_TEXT_BYTES:
        raise ValueError(f"text must take at most {LARGEST_TEXT_BYTES} bytes, got {room}")
    return np.array(of, dtype=np.str_)
