"""What waits to be sent: JSON lines in part files of one folder, never more bytes in all than the limit.

The first line of a part describes its session, so a part can be sent by a later process. When the limit is reached the
oldest part goes, and is counted.
"""

import itertools
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

Row = dict[str, Any]  # JSON values
_log = logging.getLogger(__name__)
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Row).decode


class Spool:
    """The part files of one session in a folder that it may share with parts of sessions before it."""

    def __init__(self, folder: Path, session: str, header: Mapping[str, Any], *, limit_bytes: int) -> None:
        self.folder = folder
        self.dropped = 0
        self._session, self._header, self._limit_bytes = session, dict(header), limit_bytes
        self._number = itertools.count(1)

    def add(self, rows: Sequence[Mapping[str, Any]]) -> Path | None:
        """Write rows as one more part and return it; None, and counted, where the disk refuses."""
        part = self.folder / f"{self._session}-{next(self._number):06d}.jsonl"
        body = b"\n".join([_encode(self._header), *map(_encode, rows)]) + b"\n"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._make_room(len(body))
            fresh = part.with_suffix(".new")
            fresh.write_bytes(body)
            fresh.replace(part)
        except OSError as error:
            self.dropped += len(rows)
            _log.warning("%d rows are not tracked: %s", len(rows), error)
            return None
        return part

    def parts(self) -> list[Path]:
        """Return the parts that wait, those of earlier sessions first."""
        own = sorted(self.folder.glob(f"{self._session}-*.jsonl"))
        return [*sorted(set(self.folder.glob("*.jsonl")) - set(own)), *own]

    def _make_room(self, wanted_bytes: int) -> None:
        waiting = [(part, part.stat().st_size) for part in self.parts()]
        held = sum(size for _, size in waiting)
        for part, size in waiting:
            if held + wanted_bytes <= self._limit_bytes:
                return
            self.dropped += max(0, part.read_bytes().count(b"\n") - 1)
            part.unlink(missing_ok=True)
            held -= size


def read(part: Path) -> tuple[Row, list[Row]]:
    """Return the header and the rows of a part; raise ValueError for one that is damaged."""
    lines: Iterator[bytes] = iter(part.read_bytes().splitlines())
    try:
        header = _decode(next(lines))
        return header, [_decode(line) for line in lines]
    except (StopIteration, msgspec.DecodeError) as error:
        raise ValueError(f"{part}: is no part of a spool: {error}") from error
