"""Fingerprints a command as `measure.py` does a function: it runs in an empty folder that holds copies of its files."""

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from dnaml.core.errors import InputError
from dnaml.core.protocols import Run
from dnaml.execution.file_digests import named_file
from dnaml.execution.fingerprint.measure import Call, Fingerprint, measured_call
from dnaml.execution.fingerprint.naming import Declared, computation_of_argv

_MOST_COPIED_BYTES = 1 << 30


class CommandFailed(Exception):
    """Says with which code or signal a command ended."""


def measured_command(
    argv: Sequence[str],
    *,
    workdir: str | os.PathLike[str],
    name: str | None = None,
    inputs: Sequence[str | os.PathLike[str]] = (),
    envs: Mapping[str, str] | None = None,
    pilot: bool = True,
    budget_s: float = 3.0,
    declared: Declared | None = None,
    history: Iterable[Run] | None = None,
) -> Fingerprint:
    """Return the fingerprint of a command; the pilot sees copies of its inputs and of the files that its words name.

    Raises InputError when there is more than 1 GiB to copy: give a smaller input, or `pilot=False`.
    """
    computation = computation_of_argv(argv, workdir=workdir, name=name, inputs=inputs, declared=declared)
    files = _files(argv, Path(workdir), inputs) if pilot else []
    call = Call(fn=run_command, args=(list(argv), files, dict(envs or {})), kwargs={}, budget_s=budget_s)
    return measured_call(computation, call, pilot=pilot, history=history)


def run_command(argv: list[str], files: list[tuple[str, str]], envs: Mapping[str, str]) -> None:
    """Copy files (source, place below here) into the working folder and run a command there; raise if it fails."""
    for source, place in files:
        os.makedirs(os.path.dirname(place) or ".", exist_ok=True)
        if os.path.isdir(source):
            shutil.copytree(source, place, dirs_exist_ok=True)
        else:
            shutil.copy2(source, place)
    try:
        done = subprocess.run(argv, env={**os.environ, **envs}, stdin=subprocess.DEVNULL, check=False)
    except OSError as error:
        raise CommandFailed(f"{argv[0]}: {error.strerror}") from error
    if done.returncode:
        raise CommandFailed(f"{argv[0]} ended with code {done.returncode}")


def _files(argv: Sequence[str], workdir: Path, inputs: Sequence[str | os.PathLike[str]]) -> list[tuple[str, str]]:
    """Return what to copy; a file outside the working folder is read where it is."""
    named = [word for word in argv if not os.path.isabs(word) and named_file(os.path.join(workdir, word))]
    wanted = dict.fromkeys([*named, *(os.fspath(path) for path in inputs if not os.path.isabs(path))])
    inside = [place for place in map(os.path.normpath, wanted) if not place.startswith("..")]
    size_bytes = sum(_size_bytes(workdir / place) for place in inside)
    if size_bytes > _MOST_COPIED_BYTES:
        raise InputError(f"fingerprint: the files to copy must be at most {_MOST_COPIED_BYTES} bytes, got {size_bytes}")
    return [(os.path.abspath(workdir / place), place) for place in inside]


def _size_bytes(path: Path) -> int:
    if path.is_dir():
        return sum(item.stat().st_size for item in path.rglob("*") if item.is_file())
    return path.stat().st_size if path.exists() else 0
