"""Pages of old events: they take an eighth of the room, and no damage to one goes unnoticed."""

import sqlite3
import zlib
from contextlib import closing
from pathlib import Path

import pytest

from dnaml.core import events as ev
from dnaml.core.attempt import AttemptState, Stored, Usage
from dnaml.core.errors import CorruptError
from dnaml.datasets.journal import SqlJournal
from dnaml.datasets.pages import PAGE_ROWS


def ended(number: int) -> ev.AttemptEnded:
    return ev.AttemptEnded(
        at_s=1e9 + number * 0.37,
        attempt_id=f"job-{number:x}.1",
        epoch=1,
        outcome=AttemptState.DONE,
        usage=Usage(wall_s=0.1 + number * 1e-5, cpu_s=0.1, peak_memory_bytes=1 << 26),
        result=Stored(segment=1, offset=97 * number, size_bytes=97, digest=f"{number * 2654435761:064x}"),
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give a journal of two pages and some rows."""
    path = tmp_path / "journal.sqlite"
    journal = SqlJournal(path)
    for number in range(2 * PAGE_ROWS + 10):
        journal.append(ended(number))
    journal.flush()
    assert [journal.pack(10**9) for _ in range(2)] == [True, True]
    journal.close()
    return path


def change(path: Path, sql: str, *values: object) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        assert db.execute(sql, values).rowcount > 0


def test_a_page_takes_a_small_part_of_its_rows(path):
    with closing(sqlite3.connect(path)) as db:
        packed = db.execute("SELECT SUM(LENGTH(body)) FROM pages").fetchone()[0] / (2 * PAGE_ROWS)
        alone = db.execute("SELECT AVG(LENGTH(body) + LENGTH(kind) + 24) FROM events").fetchone()[0]
    assert packed < 0.25 * alone


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("UPDATE pages SET body = x'00' WHERE last = (SELECT MIN(last) FROM pages)", "cannot be read"),
        ("DELETE FROM pages WHERE last = (SELECT MIN(last) FROM pages)", "event 1 is missing"),
        ("DELETE FROM pages WHERE last = (SELECT MAX(last) FROM pages)", "breaks the checksum chain"),
        ("UPDATE pages SET first = first + 1", "is missing"),
    ],
)
def test_a_damaged_or_lost_page_is_found(path, sql, said):
    change(path, sql)
    journal = SqlJournal(path, read_only=True)
    with pytest.raises(CorruptError, match=said):
        list(journal.replay())
    with pytest.raises(CorruptError):
        journal.check()
    journal.abandon()


def test_an_event_changed_inside_a_page_breaks_the_chain(path):
    with closing(sqlite3.connect(path)) as db, db:
        last, body = db.execute("SELECT last, body FROM pages ORDER BY last LIMIT 1").fetchone()
        text = zlib.decompress(body).replace(b'"job-64.1"', b'"job-65.1"')
        db.execute("UPDATE pages SET body = ? WHERE last = ?", (zlib.compress(text), last))
    journal = SqlJournal(path, read_only=True)
    with pytest.raises(CorruptError, match="breaks the checksum chain"):
        list(journal.replay())
    with pytest.raises(CorruptError, match="breaks the checksum chain"):
        list(journal.chosen([0x64 + 1]))
    journal.abandon()


def test_rows_with_a_gap_are_not_packed(tmp_path):
    path = tmp_path / "journal.sqlite"
    journal = SqlJournal(path)
    for number in range(PAGE_ROWS):
        journal.append(ended(number))
    journal.flush()
    change(path, "DELETE FROM events WHERE seq = 77")
    with pytest.raises(CorruptError, match="events are missing between 1 and"):
        journal.pack(PAGE_ROWS)
    journal.abandon()
