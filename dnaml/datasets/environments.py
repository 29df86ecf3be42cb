"""The environments that jobs ran in, described and kept by digest, so that a repeat can name what differs."""

import os
from pathlib import Path

from dnaml.core.errors import StateFolderError


def keep_environment(state: Path, digest: str, description: bytes) -> None:
    """Store the description of an environment as JSON bytes, unless it is there already."""
    path = _path(state, digest)
    if path.exists():
        return
    part = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part.write_bytes(description)
        part.replace(path)
    except OSError as error:
        raise StateFolderError(f"{path}: cannot be written: {error.strerror or error}") from error


def kept_environment(state: Path, digest: str) -> bytes | None:
    """Return the description of the environment of that digest, None where it was never kept here."""
    path = _path(state, digest)
    return path.read_bytes() if path.exists() else None


def _path(state: Path, digest: str) -> Path:
    return state / "environments" / f"{digest}.json"
