"""The append-only journal: every event in order, each row chained to the one before by its checksum.

Rows are committed in groups, one transaction for all events of a moment: when Settled has been appended, everything
before it survives SIGKILL, and power loss where that was asked for. Each writer commits for one generation; when a
later engine has taken over, nothing of an earlier one is stored any more.
"""

import hashlib
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import get_args

import msgspec
from sqlalchemy.exc import DatabaseError

from dnaml.core.errors import CorruptError, FencedError, StateFolderError
from dnaml.core.events import Event, Settled
from dnaml.datasets import schema
from dnaml.datasets.database import Database, Durability, SqliteDatabase
from dnaml.datasets.pages import Pages
from dnaml.datasets.witness import Seen, Witness

_TYPES: dict[str, type[Event]] = {kind.__name__: kind for kind in get_args(Event)}
_PAGE = 10_000  # rows read at once
_encode = msgspec.json.Encoder().encode
_decoders = {name: msgspec.json.Decoder(kind) for name, kind in _TYPES.items()}

Row = tuple[int, float, str, bytes, int]
Key = tuple[str, str]  # job id and digest of the request behind an idempotency key


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


def journal_url(named: str | None = None) -> str | None:
    """Return the URL of the journal's database: the one given, else `$DNAML_JOURNAL`, else None for the folder's."""
    return named or os.environ.get("DNAML_JOURNAL") or None


class SqlJournal:
    """A journal in SQLite (a path) or PostgreSQL (a URL). One writer; readers may open it at the same time.

    `witness` is the file that tells a lost end of it; beside an SQLite file there is always one.
    """

    def __init__(
        self,
        where: Path | str,
        *,
        read_only: bool = False,
        durability: Durability = Durability.PROCESS,
        witness: Path | None = None,
    ) -> None:
        self._writes = not read_only
        self._power_safe = durability is Durability.POWER
        self._pending: list[Row] = []
        self._claims: dict[str, Key] = {}
        self._unseen: tuple[int, int, float] | None = None  # committed, and the witness could not be written
        self._seq = self._chain = self._generation = 0
        self._is_new = False
        if witness is None and isinstance(where, Path):
            witness = where.with_suffix(".head")
        self._witness = Witness(witness) if witness is not None else None
        self.seen: Seen | None = self._witness.read() if self._witness is not None else None
        if isinstance(where, Path) and read_only and not where.exists():
            raise StateFolderError(f"{where}: there is no journal here")
        self._db = _opened(where, read_only=read_only, durability=durability)
        self._pages = Pages(self._db)
        # A damaged file may break its own text, down to the names in its schema, before a rule of the database.
        self._unreadable: tuple[type[Exception], ...] = (DatabaseError, ValueError, *self._db.errors)
        try:
            self._prepare(read_only)
        except BaseException as error:
            self._db.close()
            if isinstance(error, self._unreadable):
                raise StateFolderError(f"{self._db.name}: cannot open the journal: {_cause(error)}") from error
            raise
        self._insert = _insert_into("events", 5, self._db.mark)

    # -- writing -----------------------------------------------------------------------------------------------------

    def append(self, event: Event) -> None:
        """Store one event; it is durable once the next Settled has been appended."""
        body, kind = _encode(event), type(event).__name__
        self._seq += 1
        self._chain = zlib.crc32(body, zlib.crc32(kind.encode(), self._chain))
        self._pending.append((self._seq, event.at_s, kind, body, self._chain))
        if isinstance(event, Settled):
            self.flush()

    def claim(self, key: str, job_id: str, digest: str) -> None:
        """Keep an idempotency key with the job that it led to; it is stored with the events of the moment."""
        self._claims[_key_name(key)] = (job_id, digest)

    def flush(self) -> None:
        """Commit what was appended.

        Raises StorageUnavailable when the storage refuses for now (nothing of it is stored, all of it is kept for the
        next flush), FencedError when a later generation has taken over, StateFolderError on any other refusal.
        """
        if self._pending or self._unseen is not None:
            self._write()

    def _write(self, *, closing: bool = False) -> None:
        claims = [(name, *claim) for name, claim in self._claims.items()]
        try:
            with self._db.transaction() as driver:
                self._check_generation(driver.execute(schema.GENERATION).fetchone())
                if self._pending:
                    driver.executemany(self._insert, self._pending)
                if claims:
                    driver.executemany(_insert_into("keys", 3, self._db.mark) + " ON CONFLICT DO NOTHING", claims)
                if closing:
                    driver.execute(_put(self._db.mark), ("head", str(self._seq)))
        except self._db.errors as error:
            raise self._db.refusal(error) from error
        self._unseen = (self._seq, self._chain, self._pending[-1][1]) if self._pending else self._unseen
        self._pending, self._claims = [], {}
        if self._witness is not None and self._unseen is not None:
            self._witness.write(*self._unseen, power_safe=self._power_safe)
        self._unseen = None

    def _check_generation(self, stored: Sequence[str] | None) -> None:
        if stored is not None and int(stored[0]) != self._generation:
            raise FencedError(
                f"{self._db.name}: generation {stored[0]} took over; this engine, generation {self._generation}, "
                "commits nothing more"
            )

    def pack(self, upto: int) -> bool:
        """Pack the oldest rows up to a number into a page; say whether there were enough of them."""
        try:
            with self._db.transaction() as driver:
                self._check_generation(driver.execute(schema.GENERATION).fetchone())
                return self._pages.add(driver, upto)
        except self._db.errors as error:
            raise self._db.refusal(error) from error

    @property
    def packed(self) -> int:
        """Return the number of the last event that lies in a page."""
        return self._pages.end()

    def take_over(self, *, evict: bool = False) -> int:
        """Begin a generation: from here on no earlier writer can commit. Returns its number.

        Raises StateInUseError when another engine holds the database's lock; `evict` ends that engine's session.
        """
        if evict:
            self._db.evict()
        self._db.lock()
        try:
            with self._db.transaction() as driver:
                stored = driver.execute(schema.GENERATION).fetchone()
                self._generation = int(stored[0]) + 1
                driver.execute(_put(self._db.mark), ("generation", str(self._generation)))
        except self._db.errors as error:
            raise self._db.refusal(error) from error
        self._read_end()
        return self._generation

    # -- reading -----------------------------------------------------------------------------------------------------

    def replay(self, after: int = 0) -> Iterator[Event]:
        """Yield every stored event after one number, in order.

        Raises CorruptError at the first that breaks the chain or is missing.
        """
        for _, event in self.numbered(after):
            yield event

    def numbered(self, after: int = 0) -> Iterator[tuple[int, Event]]:
        """Yield (number, event) as `replay` does."""
        if self._is_new:
            return
        chain, count, stored_count = self._chain_at(after), after, self._stored_count()
        for seq, kind, body, stored in self._rows(after):
            chain = zlib.crc32(body, zlib.crc32(kind.encode(), chain))
            if chain != stored:
                raise CorruptError(f"{self._db.name}: event {seq} ({kind}) breaks the checksum chain")
            yield seq, decode_event(kind, body)
            count = seq
        if count < stored_count:
            raise CorruptError(f"{self._db.name}: ends with event {count}, but {stored_count} were stored")

    def check(self, stop: Callable[[], bool] = lambda: False) -> int:
        """Read every row and its checksum without making events of them; return how many there are.

        Raises CorruptError as `replay` does. `stop` is asked now and then whether to leave off.
        """
        chain, count, stored_count = 0, 0, self._stored_count()
        for seq, kind, body, stored in self._rows(0):
            chain = zlib.crc32(body, zlib.crc32(kind.encode(), chain))
            if chain != stored:
                raise CorruptError(f"{self._db.name}: event {seq} ({kind}) breaks the checksum chain")
            count = seq
            if seq % _PAGE == 0 and stop():
                return count
        if count < stored_count:
            raise CorruptError(f"{self._db.name}: ends with event {count}, but {stored_count} were stored")
        return count

    def chosen(self, seqs: Sequence[int]) -> Iterator[tuple[int, Event]]:
        """Yield (number, event) of some events in order, each checked against the row before it."""
        for start in range(0, len(seqs), _PAGE):
            for seq, kind, body, stored, before in self._from_both(seqs[start : start + _PAGE]):
                if zlib.crc32(body, zlib.crc32(kind.encode(), before or 0)) != stored:
                    raise CorruptError(f"{self._db.name}: event {seq} ({kind}) breaks the checksum chain")
                yield seq, decode_event(kind, body)

    def chain_at(self, seq: int) -> int | None:
        """Return the checksum chain up to and with an event; None when there is no such event."""
        if seq == self._seq and not self._pending:
            return self._chain
        found = self._select(f"SELECT chain FROM events WHERE seq = {self._db.mark}", (seq,))
        if found:
            return int(str(found[0][0]))
        packed = self._packed(seq - 1) if 0 < seq <= self._seq else []
        return int(str(packed[0][3])) if packed else None

    def key(self, key: str) -> Key | None:
        """Return (job id, digest) of an idempotency key that was used, or None."""
        name = _key_name(key)
        if name in self._claims:
            return self._claims[name]
        found = self._select(f"SELECT job_id, digest FROM keys WHERE name = {self._db.mark}", (name,))
        return (str(found[0][0]), str(found[0][1])) if found else None

    @property
    def head(self) -> tuple[int, int]:
        """Return number and chain of the last event, stored or pending."""
        return self._seq, self._chain

    @property
    def generation(self) -> int:
        """Return the generation that this journal writes for."""
        return self._generation

    @property
    def name(self) -> str:
        """Return where it lies, without a password."""
        return self._db.name

    def __len__(self) -> int:
        """Return how many events are stored or pending."""
        return self._seq

    def close(self) -> None:
        """Commit what is pending, note how many events there are, and close the database."""
        try:
            if self._writes and not self._db.connection.closed:
                self._write(closing=True)
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Close the database and write nothing more."""
        self._db.close()
        if self._witness is not None:
            self._witness.close()

    def _select(self, sql: str, values: Sequence[object] = ()) -> Sequence[tuple[object, ...]]:
        try:
            return self._db.rows(sql, values)
        except self._unreadable as error:
            raise CorruptError(f"{self._db.name}: the journal cannot be read: {_cause(error)}") from error

    def _rows(self, after: int) -> Iterator[tuple[int, str, bytes, int]]:
        mark = self._db.mark
        query = f"SELECT seq, kind, body, chain FROM events WHERE seq > {mark} ORDER BY seq LIMIT {_PAGE}"
        while rows := self._packed(after) or self._select(query, (after,)):
            if rows[0][0] != after + 1:
                rows = self._packed(after) or rows  # a writer packed them between the two looks
            for row in rows:
                yield self._typed(row)
            after = self._typed(rows[-1])[0]

    def _packed(self, after: int) -> Sequence[tuple[object, ...]]:
        """Return the events after a number that lie in its page."""
        try:
            return self._pages.after(after)
        except self._unreadable as error:
            raise CorruptError(f"{self._db.name}: the journal cannot be read: {_cause(error)}") from error

    def _from_both(self, seqs: Sequence[int]) -> Iterator[tuple[int, str, bytes, int, int]]:
        """Yield the rows of some numbers, those in pages first, with the chain of the row before each."""
        end = self._pages.end() if seqs else 0
        yield from self._pages.picked([seq for seq in seqs if seq <= end])
        yield from self._picked([seq for seq in seqs if seq > end])

    def _picked(self, seqs: Sequence[int]) -> Iterator[tuple[int, str, bytes, int, int]]:
        """Yield the rows of some numbers with the chain of the row before each."""
        wanted = ",".join(str(int(seq)) for seq in seqs)
        query = (
            "SELECT e.seq, e.kind, e.body, e.chain, p.chain FROM events e LEFT JOIN events p ON p.seq = e.seq - 1"
            f" WHERE e.seq IN ({wanted}) ORDER BY e.seq"
        )
        rows = self._select(query) if seqs else []
        if len(rows) != len(seqs):
            raise CorruptError(f"{self._db.name}: {len(seqs) - len(rows)} events of {len(seqs)} are missing")
        for row in rows:
            seq, before = self._typed(row)[0], row[4]
            yield (*self._typed(row), before if isinstance(before, int) else self.chain_at(seq - 1) or 0)

    def _typed(self, row: Sequence[object]) -> tuple[int, str, bytes, int]:
        seq, kind, body, chain = row[:4]
        if not (isinstance(seq, int) and isinstance(kind, str) and isinstance(body, bytes) and isinstance(chain, int)):
            raise CorruptError(f"{self._db.name}: event {seq} holds other types than an event does")
        return seq, kind, body, chain

    def _chain_at(self, seq: int) -> int:
        chain = self.chain_at(seq) if seq else 0
        if chain is None:
            raise CorruptError(f"{self._db.name}: event {seq} is missing")
        return chain

    def _stored_count(self) -> int:
        """Return how many events there must be: a lost end breaks no chain, but others saw it stored."""
        try:
            head = self._db.rows("SELECT value FROM meta WHERE key = 'head'")
            closed = int(head[0][0]) if head else 0
        except self._unreadable as error:
            raise CorruptError(f"{self._db.name}: the journal's head cannot be read: {_cause(error)}") from error
        return max(closed, self.seen.seq if self.seen is not None and self.seen.binds else 0)

    # -- opening -----------------------------------------------------------------------------------------------------

    def _prepare(self, read_only: bool) -> None:
        if not read_only and not self._db.has_tables():
            schema.create(self._db)
        elif read_only and not self._db.has_tables():
            self._is_new = True  # another process is about to make it: there is nothing yet
            return
        meta = {str(name): str(value) for name, value in self._db.rows("SELECT key, value FROM meta")}
        schema.check_version(self._db.name, meta.get("schema_version"), may_migrate=not read_only)
        self._generation = int(meta.get("generation", "0"))
        self._read_end()
        if not read_only:
            self._check_end()

    def _read_end(self) -> None:
        last = self._db.rows("SELECT seq, chain FROM events ORDER BY seq DESC LIMIT 1")
        if last:
            self._seq, self._chain = last[0]

    def _check_end(self) -> None:
        """Refuse to write behind a lost end."""
        seen = self.seen
        if seen is None or not seen.binds:
            return
        if self._seq < seen.seq or self.chain_at(seen.seq) != seen.chain:
            raise CorruptError(
                f"{self._db.name}: event {seen.seq} was committed and is not there (the last is {self._seq}): its "
                "write-ahead log was cut, or it was replaced by another copy. Restore a backup with `dnaml journal "
                f"restore`, or remove {self._witness.path if self._witness else ''} to go on without what is lost"
            )


def _opened(where: Path | str, *, read_only: bool, durability: Durability) -> Database:
    if isinstance(where, Path):
        try:
            return SqliteDatabase(where, read_only=read_only, durability=durability)
        except (DatabaseError, ValueError) as error:
            raise StateFolderError(f"{where}: cannot open the journal: {_cause(error)}") from error
    from dnaml.datasets.postgres import PostgresDatabase

    return PostgresDatabase(where, durability=durability)


def _cause(error: BaseException) -> BaseException:
    """Return the driver's own error where there is one."""
    return (error.orig if isinstance(error, DatabaseError) else None) or error


def _key_name(key: str) -> str:
    """Return what a key is stored as: any text a client may send fits any database so."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _insert_into(table: str, columns: int, mark: str) -> str:
    return f"INSERT INTO {table} VALUES ({', '.join([mark] * columns)})"


def _put(mark: str) -> str:
    return f"INSERT INTO meta VALUES ({mark}, {mark}) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
