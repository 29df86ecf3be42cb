"""Paths of clients: every one stays below the service's root, whatever links and dots say."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dnaml.core.errors import InputError
from dnaml.execution.file_digests import named_file
from dnaml.jobfile import JobFile

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_MOST_NAME, _MOST_PATH, _MOST_TEXT = 200, 1024, 1 << 17


def below(root: Path, written: str | Path, *, what: str) -> Path:
    """Return the real place of a path; raise InputError unless it lies below the root."""
    text = str(written)
    if "\0" in text or text.startswith("~") or len(text) > _MOST_PATH:
        raise InputError(f"{what}: must be a path below the service's folder, got {text[:_MOST_NAME]!r}")
    try:
        place = (root / text).resolve()
        place.exists()  # a name that is too long is found out here
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"{what}: cannot be a path: {error}") from None
    if not place.is_relative_to(root.resolve()):
        raise InputError(f"{what}: must stay below the service's folder, got {text!r}")
    return place


def check_paths(job: JobFile, root: Path) -> None:
    """Raise InputError for a job with a path that leaves the root."""
    document = job.document
    workdir = below(root, document.workdir or ".", what="workdir")
    for section, paths in (("inputs", document.inputs), ("outputs", document.outputs)):
        for path in paths:
            below(root, workdir.relative_to(root.resolve()) / path, what=section)


def check_argument_files(args: tuple[Any, ...], kwargs: Mapping[str, Any], root: Path) -> None:
    """Raise InputError for a text argument that names a file outside the root: it would be read to be digested."""
    for value in (*args, *kwargs.values()):
        path = named_file(value)
        if path is not None:
            below(root, path, what="args")


def check_texts(job: JobFile) -> None:
    """Raise InputError for names, words and variables that no program should be given."""
    document = job.document
    if document.name is not None and len(document.name) > _MOST_NAME:
        raise InputError(f"name: must have at most {_MOST_NAME} characters, got {len(document.name)}")
    for word in job.argv:
        if "\0" in word or len(word) > _MOST_TEXT:
            raise InputError(f"run: a word must have no NUL and at most {_MOST_TEXT} characters")
    for name, value in document.envs.items():
        if not _VARIABLE.fullmatch(name):
            raise InputError(f"envs: must be letters, digits and _, got {name[:_MOST_NAME]!r}")
        if value is None:
            raise InputError(f"envs: {name} must have a value: the service lends no variables of its own")
        if "\0" in value or len(value) > _MOST_TEXT:
            raise InputError(f"envs: {name} must have no NUL and at most {_MOST_TEXT} characters")
    if document.secrets:
        raise InputError("secrets: are not taken over REST, they would be stored; set them where the service runs")
