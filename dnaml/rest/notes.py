"""What the service keeps beside the engine's journal: computations that clients described, repeats that were asked.

One JSON object a line, appended and flushed to the disk; a torn last line is left out.
"""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec

from dnaml.core.errors import StateFolderError
from dnaml.core.work import Computation

NAME = "service-notes.jsonl"


class DescribedNote(msgspec.Struct, kw_only=True, tag="described"):
    """A computation that a tenant described."""

    tenant: str
    computation: Computation


class RepeatNote(msgspec.Struct, kw_only=True, tag="repeat"):
    """Says that a job repeats another, and how far numbers may differ."""

    job_id: str
    of: str
    rtol: float = 0.0
    atol: float = 0.0


Note = DescribedNote | RepeatNote
_decode = msgspec.json.Decoder(Note).decode


class Notes:
    """The notes of one state folder."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self._lock = threading.Lock()

    def read(self) -> Iterator[Note]:
        """Yield every whole note, oldest first."""
        try:
            lines = self.path.read_bytes().splitlines()
        except FileNotFoundError:
            return
        for line in lines:
            try:
                yield _decode(line)
            except (msgspec.DecodeError, ValueError):  # a torn line
                continue

    def add(self, note: Note) -> None:
        """Keep a note: when this returns, it survives power loss."""
        body = msgspec.json.encode(note) + b"\n"
        try:
            with self._lock, open(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StateFolderError(f"{self.path}: cannot be written: {error.strerror or error}") from error
