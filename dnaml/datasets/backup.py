"""Copies of a state folder that are whole: taken beside a working engine, checked by digest, put back only when sound.

Order makes a copy consistent: the journal first, as one state of the database, then the logs, which only grow and
hold all that this state points at; a frame that was being written ends up torn and is left out when read.
"""

import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dnaml.core.errors import CorruptError, InputError, NotFoundError, StateFolderError
from dnaml.core.events import AttemptEnded, Event
from dnaml.datasets import schema
from dnaml.datasets.blobs import FREED, BlobLog
from dnaml.datasets.freed import freed_before_s
from dnaml.datasets.journal import SqlJournal, journal_url
from dnaml.datasets.migrations import open_journal
from dnaml.datasets.state import StateFolder

MANIFEST = "backup.json"
FORMAT = 1
_FOLDERS = ("blobs", "checkpoints", "environments", "logs", "prices")
_FILES = ("resources.toml", "prices.csv")


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """What a backup or a restore moved."""

    folder: Path
    events: int
    files: int
    size_bytes: int


def backup(state: StateFolder, target: Path, *, url: str | None = None) -> Copied:
    """Copy a state folder into a new one, also while an engine works on it; raise InputError if that is not empty.

    A journal in PostgreSQL is copied event by event into a file, which any engine can read.
    """
    target = target.expanduser().absolute()
    if target.exists() and any(target.iterdir()):
        raise InputError(f"{target}: a backup needs an empty folder")
    try:
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        _copy_journal(state, target / state.journal.name, url)
        for source in _sources(state.root):
            copy = target / source.relative_to(state.root)
            copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                shutil.copyfile(source, copy)
            except FileNotFoundError:
                continue  # a checkpoint that was replaced meanwhile
        events = _verify_copy(target)
        manifest = {
            "format": FORMAT,
            "schema_version": schema.SCHEMA_VERSION,
            "events": events,
            "files": _digests(target),
        }
        (target / MANIFEST).write_text(json.dumps(manifest, indent=1))
        _sync_tree(target)
    except (OSError, sqlite3.Error) as error:
        raise StateFolderError(f"{target}: the backup cannot be written: {error}") from error
    return _copied(target, events)


def restore(source: Path, state: StateFolder, *, force: bool = False) -> Copied:
    """Put a backup in place of a state folder, after every file of it was verified.

    Raises CorruptError where one differs, InputError where the folder holds a journal and `force` is not set. What was
    there is kept beside it under another name.
    """
    manifest = read_manifest(source)
    verify_backup(source, manifest)
    there = state.root.exists() and any(state.root.iterdir())
    if there and not force:
        raise InputError(f"{state.root}: holds a state already; --force puts it aside and restores the backup")
    if there:
        state.lock()  # nobody may work on it
        state.unlock()
    fresh = state.root.with_name(f"{state.root.name}.restoring-{os.getpid()}")
    try:
        shutil.copytree(source, fresh)
        (fresh / MANIFEST).unlink()
        if there:
            os.replace(state.root, _free_name(state.root))
        elif state.root.exists():
            state.root.rmdir()
        os.replace(fresh, state.root)
    except OSError as error:
        shutil.rmtree(fresh, ignore_errors=True)
        raise StateFolderError(f"{state.root}: the backup cannot be put in place: {error}") from error
    return _copied(state.root, int(str(manifest["events"])))


def read_manifest(folder: Path) -> dict[str, object]:
    """Return the manifest of a backup; raise InputError where there is none, or one of another format."""
    try:
        manifest: dict[str, object] = json.loads((folder / MANIFEST).read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{folder}: is no backup: {MANIFEST} cannot be read: {error}") from error
    if manifest.get("format") != FORMAT:
        raise InputError(f"{folder}: is a backup of format {manifest.get('format')}, this dnaml reads {FORMAT}")
    return manifest


def verify_backup(folder: Path, manifest: dict[str, object]) -> None:
    """Raise CorruptError at the first file that is missing, differs from its digest, or was not there."""
    wanted, found = manifest["files"], _digests(folder)
    assert isinstance(wanted, dict)
    for name in sorted({*wanted, *found}):
        if name not in found:
            raise CorruptError(f"{folder / name}: is missing from the backup")
        if wanted.get(name) != found[name]:
            raise CorruptError(f"{folder / name}: differs from what was backed up")


def verify_results(events: Iterator[Event], blobs: Path) -> Iterator[Event]:
    """Pass events on and read every result that they name; raise CorruptError at the first that is damaged.

    One that compaction let go of is passed over if it ended before the moment that was noted then.
    """
    log = BlobLog(blobs, "outcomes") if any(blobs.glob("outcomes-*.blobs")) else None
    try:
        for event in events:
            if isinstance(event, AttemptEnded) and event.result is not None:
                if log is None:
                    raise CorruptError(f"{blobs}: the results that the journal names are missing")
                try:
                    log.read(event.result)
                except NotFoundError as error:
                    if event.at_s > freed_before_s(blobs):
                        raise CorruptError(f"{error}, and it is younger than anything that was") from error
            yield event
    finally:
        if log is not None:
            log.close()


def _copy_journal(state: StateFolder, copy: Path, url: str | None) -> None:
    if journal_url(url) is None:
        source, target = sqlite3.connect(f"file:{state.journal}?mode=ro", uri=True), sqlite3.connect(copy)
        try:
            source.backup(target, pages=4096)
        finally:
            source.close()
            target.close()
        return
    journal = open_journal(state, url, read_only=True)
    writer = SqlJournal(copy)
    try:
        for number, event in enumerate(journal.replay(), 1):
            writer.append(event)
            if number % 10_000 == 0:
                writer.flush()
    finally:
        writer.close()
        journal.abandon()


def _verify_copy(folder: Path) -> int:
    """Read the copied journal and every result it names; return how many events there are."""
    journal = SqlJournal(folder / "journal.sqlite", read_only=True)
    try:
        return sum(1 for _ in verify_results(journal.replay(), folder / "blobs"))
    finally:
        journal.abandon()


def _sources(root: Path) -> Iterator[Path]:
    for name in _FILES:
        if (root / name).is_file():
            yield root / name
    for name in _FOLDERS:
        # What may be freed is noted before anything is: read after the segments, the note covers what they lack.
        yield from sorted(
            (path for path in (root / name).rglob("*") if path.is_file()), key=lambda path: (path.name == FREED, path)
        )


def _digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file but the manifest, by its path inside the folder."""
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST):
        with path.open("rb") as file:
            found[path.relative_to(folder).as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _sync_tree(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        fd = os.open(path, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _free_name(path: Path) -> Path:
    number = 1
    while (aside := path.with_name(f"{path.name}.before-restore-{number}")).exists():
        number += 1
    return aside


def _copied(folder: Path, events: int) -> Copied:
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return Copied(folder=folder, events=events, files=len(sizes), size_bytes=sum(sizes))
