"""Pages of old events: rows of a journal packed by thousands into one compressed row each, an eighth as large.

A page holds every row of its range with the checksum chain, so whoever reads the journal reads the same events as
before; only to read single old ones takes longer.
"""

import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from dnaml.core.errors import CorruptError
from dnaml.datasets.database import Database

PAGE_ROWS = 2_000
_LEVEL = 2  # most of what zlib can save here, in a fifth of the time
_END = "SELECT COALESCE(MAX(last), 0) FROM pages"

Row = tuple[int, str, bytes, int]  # number, kind, body, chain
Picked = tuple[int, str, bytes, int, int]  # and the chain before it

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[tuple[float, str, bytes, int]]).decode


class Pages:
    """The pages of one journal, read and added through its database."""

    def __init__(self, database: Database) -> None:
        self._db = database
        mark = database.mark
        self._select = f"SELECT first, last, before, body FROM pages WHERE last >= {mark} ORDER BY last LIMIT 1"  # noqa: S608
        self._insert = f"INSERT INTO pages (last, first, before, body) VALUES ({', '.join([mark] * 4)})"  # noqa: S608
        self._span = f"FROM events WHERE seq BETWEEN {mark} AND {mark}"

    def end(self) -> int:
        """Return the number of the last event that lies in a page, 0 where there is none."""
        return int(self._db.rows(_END)[0][0])

    def after(self, seq: int) -> list[Row]:
        """Return the events after a number that lie in one page with the next; none where that lies in no page."""
        _, rows = self._page(seq + 1)
        return [row for row in rows if row[0] > seq]

    def picked(self, seqs: Sequence[int]) -> Iterator[Picked]:
        """Yield some events of which every one lies in a page, in ascending order."""
        before, rows = 0, list[Row]()
        for seq in seqs:
            if not rows or seq > rows[-1][0]:
                before, rows = self._page(seq)
            place = seq - rows[0][0]
            yield (*rows[place], rows[place - 1][3] if place else before)

    def add(self, driver: Any, upto: int) -> bool:  # Any: each driver has a class of its own
        """Pack the next rows inside a transaction, if a page full of them is there up to a number; say whether so."""
        first = int(driver.execute(_END).fetchone()[0]) + 1
        last = first + PAGE_ROWS - 1
        if last > upto:
            return False
        rows = driver.execute(
            f"SELECT seq, at_s, kind, body, chain {self._span} ORDER BY seq", (first, last)
        ).fetchall()
        if [row[0] for row in rows] != list(range(first, last + 1)):
            raise CorruptError(f"{self._db.name}: events are missing between {first} and {last}")
        body = zlib.compress(_encode([tuple(row[1:]) for row in rows]), _LEVEL)
        driver.execute(self._insert, (last, first, self._before(driver, first), body))
        driver.execute(f"DELETE {self._span}", (first, last))
        return True

    def _before(self, driver: Any, first: int) -> int:  # Any: as above
        """Return the chain before a first row: where the page before it ended."""
        return self._page(first - 1)[1][-1][3] if first > 1 else 0

    def _page(self, seq: int) -> tuple[int, list[Row]]:
        """Return the page that holds an event, and the chain before it; no rows where the event lies in no page."""
        found = self._db.rows(self._select, (seq,))
        if not found:
            return 0, []
        first, last, before, body = found[0]
        try:
            rows = _decode(zlib.decompress(bytes(body)))
        except (zlib.error, msgspec.DecodeError, ValueError) as error:
            raise CorruptError(
                f"{self._db.name}: the page of events {first} to {last} cannot be read: {error}"
            ) from error
        if len(rows) != last - first + 1 or not first <= seq <= last:
            raise CorruptError(f"{self._db.name}: event {seq} is missing before the page that ends with {last}")
        return before, [(number, kind, text, chain) for number, (_, kind, text, chain) in enumerate(rows, first)]
