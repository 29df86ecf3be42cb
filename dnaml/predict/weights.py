"""A model folder: `config.json` (plain values), `weights.safetensors` (arrays), `manifest.json` (sizes and SHA-256).

Loading checks schema, sizes and digests of every file before anything in it is parsed; only the value classes named by
the caller are ever built. Never a pickle, never code.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dnaml.core.errors import CorruptError, InputError

SCHEMA = "dnaml-model-1"
CONFIG, WEIGHTS, MANIFEST = "config.json", "weights.safetensors", "manifest.json"
LARGEST_MANIFEST_BYTES = 1 << 20
LARGEST_FILE_BYTES = 1 << 32
DEEPEST = 64

Arrays = dict[str, "np.ndarray[Any, np.dtype[Any]]"]  # of any shape and number type
Json = Any  # what json reads and writes


def save_model(folder: str | os.PathLike[str], value: object) -> Path:
    """Write a value (dataclasses of plain values and arrays) as a model folder; the manifest comes last."""
    from safetensors.numpy import save

    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    arrays: Arrays = {}
    config = json.dumps({"schema": SCHEMA, "model": _packed(value, arrays, "m")}).encode()
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
    from safetensors.numpy import load

    path = Path(folder)
    if not (path / MANIFEST).is_file():
        raise InputError(f"{path}: a model folder must hold {MANIFEST}, got none")
    blobs = _checked(path)
    config, arrays = json.loads(blobs[CONFIG]), load(blobs[WEIGHTS])
    try:
        return _unpacked(config["model"], arrays, classes, 0)
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptError(f"{path}: the model must be made of known values: {error}") from error


def digest_of(folder: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a model folder's manifest: the model's version."""
    return hashlib.sha256((Path(folder) / MANIFEST).read_bytes()).hexdigest()


def _checked(path: Path) -> dict[str, bytes]:
    """Return the files' bytes, each proven to be what the manifest says."""
    manifest = path / MANIFEST
    if manifest.stat().st_size > LARGEST_MANIFEST_BYTES:
        raise CorruptError(f"{manifest}: must be at most {LARGEST_MANIFEST_BYTES} bytes")
    try:
        said = json.loads(manifest.read_bytes())
        schema = said["schema"]
        files = {
            name: (int(said["files"][name]["size"]), str(said["files"][name]["sha256"])) for name in (CONFIG, WEIGHTS)
        }
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CorruptError(f"{manifest}: must be the manifest of a model: {error!r}") from error
    if schema != SCHEMA:
        raise CorruptError(f"{manifest}: schema must be {SCHEMA!r}, got {schema!r}")
    blobs = {}
    for name, (size, digest) in files.items():
        file = path / name
        actual = file.stat().st_size if file.is_file() else -1
        if actual != size or size > LARGEST_FILE_BYTES:
            raise CorruptError(f"{file}: must be {size} bytes, got {actual}")
        blobs[name] = file.read_bytes()
        if hashlib.sha256(blobs[name]).hexdigest() != digest:
            raise CorruptError(f"{file}: must have SHA-256 {digest}, got another")
    return blobs


def _packed(value: object, arrays: Arrays, place: str) -> Json:
    if value is None or isinstance(value, (bool, int, float, str)):
        return int(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if isinstance(value, np.ndarray):
        if value.dtype.kind == "U":
            return {"@": "text", "of": value.tolist()}
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
    if kind == "array":
        return arrays[of]
    if kind == "text":
        return np.array(of, dtype=np.str_)
    if kind == "tuple":
        return tuple(_unpacked(v, arrays, classes, depth + 1) for v in of)
    if kind == "map":
        return {_unpacked(k, arrays, classes, depth + 1): _unpacked(v, arrays, classes, depth + 1) for k, v in of}
    return classes[kind](**{name: _unpacked(v, arrays, classes, depth + 1) for name, v in of.items()})
