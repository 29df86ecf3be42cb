"""What machines cost: a small shipped catalogue of dated facts, and whole tables that a user imports.

Prices are facts with a date and a source; nothing here guesses one. An imported table is kept as one CSV file in the
state folder and covers the shipped one. Turning a price into the cost of a run is not done here.
"""

import contextlib
import csv
import difflib
import os
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from dnaml.core.errors import CorruptError, InputError, NotFoundError, StateFolderError
from dnaml.datasets.price_rows import COLUMNS, NOT_STATED, Price, parse_file, to_row

STORED_NAME = "prices.csv"
"""Name of the imported table inside a state folder."""


def shipped_folder(name: str) -> Path:
    """Return the folder of shipped data `name`: in the checkout, or where a wheel put it."""
    candidates = (
        Path(__file__).resolve().parents[2] / "data" / name,
        Path(sysconfig.get_path("data")) / "share" / "dnaml" / "data" / name,
    )
    for folder in candidates:
        if folder.is_dir():
            return folder
    raise NotFoundError(f"shipped data {name!r} is not installed; looked for {' and '.join(map(str, candidates))}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceQuery:
    """Which prices to find; a field left None allows everything, and text is compared without case.

    `instance_type` may be the beginning of a name (`m7i.`), `accelerator` is a whole name (`A100`).
    """

    provider: str | None = None
    region: str | None = None
    instance_type: str | None = None
    accelerator: str | None = None
    least_vcpus: float | None = None
    least_memory_bytes: int | None = None
    spot: bool = False

    def allows(self, price: Price) -> bool:
        """Tell whether the price answers the query; an unknown size never satisfies a least size."""
        return (
            price.usd_per_h(spot=self.spot) is not None
            and _same(self.provider, price.provider)
            and _same(self.region, price.region)
            and _same(self.accelerator, price.accelerator)
            and price.instance_type.lower().startswith((self.instance_type or "").lower())
            and (price.vcpus or 0) >= (self.least_vcpus or 0)
            and (price.memory_bytes or 0) >= (self.least_memory_bytes or 0)
        )


def _same(wanted: str | None, value: str) -> bool:
    return wanted is None or wanted.lower() == value.lower()


class PriceCatalog:
    """Holds prices by id (`aws/us-east-1/m7i.large`) and finds them; a later entry covers an earlier one of its id."""

    def __init__(self, prices: Iterable[Price]) -> None:
        self._by_id = {price.id: price for price in prices}

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Price]:
        return iter(self._by_id.values())

    def get(self, price_id: str) -> Price:
        """Return the price of that id; NotFoundError names the nearest ids there are."""
        if price_id in self._by_id:
            return self._by_id[price_id]
        near = difflib.get_close_matches(price_id, self._by_id, n=3, cutoff=0.5)
        raise NotFoundError(f"no price for {price_id!r}" + (f"; near it: {', '.join(near)}" if near else ""))

    def find(self, query: PriceQuery) -> tuple[Price, ...]:
        """Return every price that the query allows, cheapest first (then by id)."""
        found = [price for price in self if query.allows(price)]
        return tuple(sorted(found, key=lambda price: (price.usd_per_h(spot=query.spot), price.id)))

    def dates(self) -> tuple[str, ...]:
        """Return the distinct dates of the prices, oldest first; 'not stated' stands at the end."""
        return tuple(sorted({price.date_text for price in self}, key=lambda text: (text == NOT_STATED, text)))


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceImport:
    """What an import did: rows read, rows set aside because they quote no price, prices imported, and where to."""

    rows: int
    without_price: int
    imported: int
    path: Path


def load_prices(state_folder: Path | None = None) -> PriceCatalog:
    """Return the shipped prices, covered by those imported into the state folder, if any."""
    prices = dict(parse_file(shipped_folder("prices") / "instances.csv").prices)
    if state_folder is not None:
        prices.update(_stored(state_folder / STORED_NAME))
    return PriceCatalog(prices.values())


def import_prices(
    file: Path, *, into: Path, provider: str | None = None, price_date: date | None = None
) -> PriceImport:
    """Store a table of prices in the state folder `into`, over what was imported before: all of it or nothing.

    The file has dnaml's own layout or that of SkyPilot's catalogue, which names neither provider nor date. Its provider
    is the file's stem (`aws.csv`), or the folder of a `vms.csv`, unless given; its date stays unknown unless given. A
    region's zones become one price, the lowest. A wrong value raises InputError with line, column and value.
    """
    table = parse_file(file, provider=provider, price_date=price_date)
    if not table.prices:
        raise InputError(f"{file}: a price table must quote at least one price, got {table.rows} rows without one")
    stored = into / STORED_NAME
    merged = {**_stored(stored), **table.prices}
    _write(stored, merged.values())
    return PriceImport(rows=table.rows, without_price=table.without_price, imported=len(table.prices), path=stored)


def _stored(path: Path) -> Mapping[str, Price]:
    if not path.exists():
        return {}
    try:
        return parse_file(path).prices
    except InputError as error:
        raise CorruptError(f"{error}; remove that file and import the prices again") from error


def _write(path: Path, prices: Iterable[Price]) -> None:
    """Replace the file at once, so that a crash leaves the old table or the new one."""
    part = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(to_row(price) for price in prices)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise StateFolderError(f"{path}: the imported prices cannot be stored: {error}") from error
