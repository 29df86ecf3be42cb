"""The environments jobs ran in, described and kept by digest, so that `repeat` can name the package that differs."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from dnaml.core.errors import StateFolderError

if TYPE_CHECKING:
    from dnaml.execution.environment import Environment


def keep_environment(state: Path) -> None:
    """Store what this process runs in, unless it is there already."""
    from dnaml.execution.environment import current_environment, environment_digest

    path = _path(state, environment_digest())
    if path.exists():
        return
    part = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part.write_bytes(msgspec.json.encode(current_environment()))
        part.replace(path)
    except OSError as error:
        raise StateFolderError(f"{path}: cannot be written: {error.strerror or error}") from error


def kept_environment(state: Path, digest: str) -> "Environment | None":
    """Return the environment of that digest, None where it was never described here."""
    from dnaml.execution.environment import environment_from_json

    path = _path(state, digest)
    return environment_from_json(path.read_bytes()) if path.exists() else None


def _path(state: Path, digest: str) -> Path:
    return state / "environments" / f"{digest}.json"
