"""The tables of a journal, their version, and the steps from each earlier version to the next (alembic).

A version is never read in part: an older one is migrated after a backup, a newer one is refused.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import sqlalchemy as sa

from dnaml.core.errors import StateFolderError
from dnaml.datasets.database import Database

if TYPE_CHECKING:
    from alembic.operations import Operations

SCHEMA_VERSION = 3
GENERATION = "SELECT value FROM meta WHERE key = 'generation'"

_number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_metadata = sa.MetaData()
_events = sa.Table(
    "events",
    _metadata,
    sa.Column("seq", _number, primary_key=True, autoincrement=False),
    sa.Column("at_s", sa.Double, nullable=False),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("chain", sa.BigInteger, nullable=False),
)
_meta = sa.Table("meta", _metadata, sa.Column("key", sa.String, primary_key=True), sa.Column("value", sa.String))
_keys = sa.Table(
    "keys",
    _metadata,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("job_id", sa.String, nullable=False),
    sa.Column("digest", sa.String, nullable=False),
)
_pages = sa.Table(
    "pages",
    _metadata,
    sa.Column("last", _number, primary_key=True, autoincrement=False),
    sa.Column("first", _number, nullable=False),
    sa.Column("before", sa.BigInteger, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
)


class OlderSchemaError(StateFolderError):
    """Says that a journal was written by an earlier version and must be migrated before it is used."""


def create(database: Database) -> None:
    """Make the tables of the current version; one that another process makes meanwhile is no error."""
    with database.transaction() as driver:
        for table in _metadata.sorted_tables:
            driver.execute(str(sa.schema.CreateTable(table, if_not_exists=True).compile(database.connection.engine)))
        for name, value in (("schema_version", SCHEMA_VERSION), ("generation", 0)):
            driver.execute(f"INSERT INTO meta VALUES ('{name}', '{value}') ON CONFLICT DO NOTHING")


def check_version(name: str, stored: str | None, *, may_migrate: bool) -> None:
    """Raise StateFolderError naming both versions unless the stored one is the current one."""
    if stored == str(SCHEMA_VERSION):
        return
    both = f"{name}: has schema version {stored}, this dnaml writes {SCHEMA_VERSION}"
    if stored is not None and stored.isdecimal() and int(stored) in _STEPS:
        how = "it is migrated when an engine opens it" if not may_migrate else "it must be migrated first"
        raise OlderSchemaError(f"{both}; {how}")
    raise StateFolderError(both)


def upgrade(connection: sa.Connection, stored: int) -> None:
    """Take tables of an earlier version to the current one, inside the transaction of the caller."""
    from alembic.migration import MigrationContext
    from alembic.operations import Operations

    operations = Operations(MigrationContext.configure(connection))
    for version in range(stored, SCHEMA_VERSION):
        _STEPS[version](operations)
        connection.execute(_meta.update().where(_meta.c.key == "schema_version").values(value=str(version + 1)))


def _from_1(operations: "Operations") -> None:
    """Version 2 keeps idempotency keys and the generation of the engine that writes."""
    operations.create_table(
        "keys",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("job_id", sa.String, nullable=False),
        sa.Column("digest", sa.String, nullable=False),
    )
    operations.execute("INSERT INTO meta VALUES ('generation', '0')")


def _from_2(operations: "Operations") -> None:
    """Version 3 packs old events into pages."""
    operations.create_table(
        "pages",
        sa.Column("last", _number, primary_key=True, autoincrement=False),
        sa.Column("first", _number, nullable=False),
        sa.Column("before", sa.BigInteger, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )


_STEPS: dict[int, Callable[["Operations"], None]] = {1: _from_1, 2: _from_2}
