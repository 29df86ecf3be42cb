"""The append-only journal: every event in order, each row chained to the one before by its checksum.

Rows are committed in groups, one transaction for all events of a moment: when Settled has been appended, everything
before it survives SIGKILL (SQLite WAL, synchronous=NORMAL).
"""

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args
from urllib.parse import quote

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError

from dnaml.core.errors import CorruptError, StateFolderError
from dnaml.core.events import Event, Settled

SCHEMA_VERSION = 1

_metadata = sa.MetaData()
_events = sa.Table(
    "events",
    _metadata,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("at_s", sa.Float, nullable=False),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("chain", sa.BigInteger, nullable=False),
)
_meta = sa.Table("meta", _metadata, sa.Column("key", sa.String, primary_key=True), sa.Column("value", sa.String))

_INSERT = "INSERT INTO events (seq, at_s, kind, body, chain) VALUES (?, ?, ?, ?, ?)"
_HEAD = "INSERT OR REPLACE INTO meta VALUES ('head', ?)"
_TYPES: dict[str, type[Event]] = {kind.__name__: kind for kind in get_args(Event)}
_encode = msgspec.json.Encoder().encode
_decoders = {name: msgspec.json.Decoder(kind) for name, kind in _TYPES.items()}

# A damaged file may break its own text, down to the names in its schema, before it breaks a rule of the database.
_UNREADABLE = (DatabaseError, UnicodeError)
Row = tuple[int, float, str, bytes, int]


def encode_event(event: Event) -> bytes:
    """Return an event as JSON bytes."""
    return _encode(event)


def decode_event(kind: str, body: bytes) -> Event:
    """Return the event that JSON bytes of a kind stand for; raise CorruptError if they do not fit its schema."""
    decoder = _decoders.get(kind)
    if decoder is None:
        raise CorruptError(f"journal holds an event of unknown kind {kind!r}; this version knows {sorted(_TYPES)}")
    try:
        return decoder.decode(body)
    except msgspec.DecodeError as error:
        raise CorruptError(f"journal holds a {kind} event that does not fit its schema: {error}") from error


def _cause(error: Exception) -> BaseException:
    """Return the driver's own error where there is one."""
    return (error.orig if isinstance(error, DatabaseError) else None) or error


class SqlJournal:
    """A journal in an SQL database, SQLite by default. One writer; readers may open it at the same time."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._path = path
        self._writes = not read_only
        self._pending: list[Row] = []
        self._seq = 0
        self._chain = 0
        self._is_new = False
        if read_only and not path.exists():
            raise StateFolderError(f"{path}: there is no journal here")
        mode = "ro" if read_only else "rwc"
        url = sa.URL.create("sqlite", database=f"file:{quote(str(path))}?mode={mode}", query={"uri": "true"})
        self._engine = sa.create_engine(url, connect_args={"check_same_thread": False, "isolation_level": None})
        try:
            self._connection = self._engine.connect()
            try:
                self._prepare(read_only)
            except BaseException:
                self._connection.close()
                raise
        except _UNREADABLE as error:
            raise StateFolderError(f"{path}: cannot open the journal: {_cause(error)}") from error

    def append(self, event: Event) -> None:
        """Store one event; it is durable once the next Settled has been appended."""
        body, kind = _encode(event), type(event).__name__
        self._seq += 1
        self._chain = zlib.crc32(body, zlib.crc32(kind.encode(), self._chain))
        self._pending.append((self._seq, event.at_s, kind, body, self._chain))
        if isinstance(event, Settled):
            self.flush()

    def flush(self) -> None:
        """Commit what was appended; raise StateFolderError when the disk refuses (nothing of it is stored then)."""
        if self._pending:
            self._write()

    def _write(self, *, closing: bool = False) -> None:
        connection: Any = self._connection.connection.driver_connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(_INSERT, self._pending)
            if closing:
                connection.execute(_HEAD, (str(self._seq),))
            connection.execute("COMMIT")
        except Exception as error:  # the driver's own errors: what was begun is rolled back, then reported
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise StateFolderError(f"{self._path}: cannot write the journal: {error}") from error
        self._pending = []

    def replay(self) -> Iterator[Event]:
        """Yield every stored event in order; raise CorruptError at the first that breaks the chain or is missing."""
        if self._is_new:
            return
        chain, count, stored_count = 0, 0, self._stored_count()
        for seq, kind, body, stored in self._rows():
            chain = zlib.crc32(body, zlib.crc32(kind.encode(), chain))
            if chain != stored:
                raise CorruptError(f"{self._path}: event {seq} ({kind}) breaks the checksum chain")
            yield decode_event(kind, body)
            count = seq
        if count < stored_count:
            raise CorruptError(f"{self._path}: ends with event {count}, but {stored_count} were stored")

    def __len__(self) -> int:
        """Return how many events are stored or pending."""
        return self._seq

    def close(self) -> None:
        """Commit what is pending, note how many events there are, and close the database."""
        try:
            if self._writes and not self._connection.closed:
                self._write(closing=True)
        finally:
            self._connection.close()
            self._engine.dispose()

    def _rows(self) -> Iterator[tuple[int, str, bytes, int]]:
        query = sa.select(_events.c.seq, _events.c.kind, _events.c.body, _events.c.chain).order_by(_events.c.seq)
        try:
            for row in self._connection.execute(query):
                if not (isinstance(row.kind, str) and isinstance(row.body, bytes)):
                    raise CorruptError(f"{self._path}: event {row.seq} holds other types than an event does")
                yield row.seq, row.kind, row.body, row.chain
        except _UNREADABLE as error:
            raise CorruptError(f"{self._path}: the journal cannot be read: {_cause(error)}") from error

    def _stored_count(self) -> int:
        """Return how many events there were when the journal was closed last: a lost end breaks no chain."""
        try:
            head = self._connection.scalar(sa.select(_meta.c.value).where(_meta.c.key == "head"))
            return int(head or 0)
        except (*_UNREADABLE, ValueError) as error:
            raise CorruptError(f"{self._path}: the journal's head cannot be read: {_cause(error)}") from error

    def _prepare(self, read_only: bool) -> None:
        run = self._connection.exec_driver_sql
        if not read_only:
            run("PRAGMA journal_mode=WAL")
            run("PRAGMA synchronous=NORMAL")
            run("BEGIN IMMEDIATE")
            _metadata.create_all(self._connection)
            run(f"INSERT OR IGNORE INTO meta VALUES ('schema_version', '{SCHEMA_VERSION}')")
            run("COMMIT")
        elif not sa.inspect(self._connection).get_table_names():
            self._is_new = True  # another process is about to make it: there is nothing yet
            return
        stored = self._connection.scalar(sa.select(_meta.c.value).where(_meta.c.key == "schema_version"))
        if stored != str(SCHEMA_VERSION):
            raise StateFolderError(f"{self._path}: has schema version {stored}, this dnaml writes {SCHEMA_VERSION}")
        last = self._connection.execute(
            sa.select(_events.c.seq, _events.c.chain).order_by(_events.c.seq.desc()).limit(1)
        ).first()
        if last is not None:
            self._seq, self._chain = last.seq, last.chain
