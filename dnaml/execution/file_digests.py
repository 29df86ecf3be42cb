"""Digests of files and folders, streamed, bounded in what is read, and kept while a file stays as it is."""

import hashlib
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from dnaml.core.errors import InputError

_WHOLE_BYTES = 256 << 20  # a larger file is digested by its size, its ends and evenly spaced blocks
_BLOCK_BYTES = 1 << 20
_SAMPLES = 64
_SETTLED_S = 2.0  # a file changed more recently may change again within one tick of its time stamp
_MOST_KEPT = 4096
_MOST_IN_FOLDER = 10_000

_kept: dict[str, tuple[tuple[int, ...], str]] = {}  # path -> (identity of the file, digest)


def file_digest(path: str | os.PathLike[str]) -> str:
    """Return `sha256:...` of a file, or of a folder's names and files; raise InputError if it cannot be read.

    A file over 256 MiB gives `sampled-sha256:...` over its size and 66 blocks of 1 MiB, so a change between them is
    not seen. The digest is kept until size, time stamp or inode change.
    """
    name = os.path.abspath(path)
    try:
        status = os.stat(name)
        if stat.S_ISDIR(status.st_mode):
            return _folder_digest(Path(name))
        if not stat.S_ISREG(status.st_mode):
            raise InputError(f"{name}: only files and folders can be inputs, got {stat.filemode(status.st_mode)}")
        return _kept_digest(name, status)
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error.strerror}") from error


def named_file(value: object) -> str | None:
    """Return the path that a text or path argument names if a regular file is there, else None."""
    if isinstance(value, str):
        if not value or len(value) > 1024 or "\n" in value or "\x00" in value:
            return None
    elif not isinstance(value, os.PathLike):
        return None
    try:
        path = os.fspath(value)
        found = isinstance(path, str) and stat.S_ISREG(os.stat(path).st_mode)
    except (OSError, ValueError):
        return None
    return path if found else None


def _kept_digest(name: str, status: os.stat_result) -> str:
    identity = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    kept = _kept.get(name)
    if kept is not None and kept[0] == identity:
        return kept[1]
    digest = _whole(name) if status.st_size <= _WHOLE_BYTES else _sampled(name, status.st_size)
    if time.time() - status.st_mtime > _SETTLED_S:
        while len(_kept) >= _MOST_KEPT:
            _kept.pop(next(iter(_kept)))
        _kept[name] = (identity, digest)
    return digest


def _whole(name: str) -> str:
    with open(name, "rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def _sampled(name: str, size_bytes: int) -> str:
    sha = hashlib.sha256(b"%d:" % size_bytes)
    last = size_bytes - _BLOCK_BYTES
    with open(name, "rb", buffering=0) as file:
        for index in range(_SAMPLES + 2):
            file.seek(last * index // (_SAMPLES + 1))
            sha.update(file.read(_BLOCK_BYTES))
    return "sampled-sha256:" + sha.hexdigest()


def _folder_digest(folder: Path) -> str:
    sha = hashlib.sha256()
    for count, path in enumerate(_files_below(folder)):
        if count >= _MOST_IN_FOLDER:
            raise InputError(f"{folder}: a folder given as input may hold {_MOST_IN_FOLDER} files, this one holds more")
        sha.update(f"{path.relative_to(folder).as_posix()}\x00{file_digest(path)}\n".encode("utf-8", "surrogateescape"))
    return "sha256:" + sha.hexdigest()


def _files_below(folder: Path) -> Iterator[Path]:
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.is_dir(follow_symlinks=False):
            yield from _files_below(Path(entry.path))
        elif entry.is_file():
            yield Path(entry.path)
