"""One price as a value, and the two CSV layouts in which tables of prices come.

dnaml's own layout names provider, date and source on every row. SkyPilot's catalogue layout (one file a provider, one
row a zone) names none of them. Both are checked field by field; nothing is stored here.
"""

import ast
import csv
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import NoReturn

from dnaml.core.errors import InputError

MIB = 1 << 20
GIB = 1 << 30
NOT_STATED = "not stated"

COLUMNS = (
    "provider", "region", "instance_type", "vcpus", "memory_gib", "cpu_manufacturer", "cpu_clock_mhz", "arch",
    "accelerator", "accelerator_count", "accelerator_mem_mib", "network_mbps", "ondemand_usd_h", "spot_usd_h",
    "price_date", "source",
)  # fmt: skip
_NEEDED = {"provider", "region", "instance_type", "ondemand_usd_h", "price_date", "source"}
_SKYPILOT_NEEDED = {"InstanceType", "vCPUs", "MemoryGiB", "Price", "Region"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What one instance type costs in one region, when and by whom that was said; an unknown fact is None or ''.

    A provider's accelerator that is sold apart from its machine has an `instance_type` that begins `accelerator:`.
    """

    provider: str
    region: str
    instance_type: str
    on_demand_usd_per_h: float | None
    spot_usd_per_h: float | None = None
    price_date: date | None
    source: str
    vcpus: float | None = None
    memory_bytes: int | None = None
    cpu_manufacturer: str = ""
    clock_hz: float | None = None
    architecture: str = ""
    accelerator: str = ""
    accelerator_count: float | None = None
    accelerator_memory_bytes: int | None = None
    network_bytes_per_s: float | None = None

    @property
    def id(self) -> str:
        """Is provider, region and instance type: what a price is asked for by."""
        return f"{self.provider}/{self.region}/{self.instance_type}"

    @property
    def date_text(self) -> str:
        """Is the day of the price as text, or 'not stated'."""
        return self.price_date.isoformat() if self.price_date else NOT_STATED

    def usd_per_h(self, *, spot: bool = False) -> float | None:
        """Return the price of an hour on demand or as spot; None where the source quotes none."""
        return self.spot_usd_per_h if spot else self.on_demand_usd_per_h

    def describe(self, *, spot: bool = False) -> str:
        """Return the price in words; the date and the source always stand beside the number."""
        usd_per_h = self.usd_per_h(spot=spot)
        amount = "no price" if usd_per_h is None else f"{usd_per_h:.10g} USD/h"
        return f"{self.id}: {amount}{' spot' if spot else ''} (price date {self.date_text}, source {self.source})"


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceFile:
    """The content of one file: its prices by id, how many rows it had, how many of them quoted no price."""

    prices: Mapping[str, Price]
    rows: int
    without_price: int


def parse_file(file: Path, *, provider: str | None = None, price_date: date | None = None) -> PriceFile:
    """Return what the file holds; InputError names the line, the column and the value that is wrong."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            layout = _layout(file, reader.fieldnames or (), provider, price_date)
            return _collect(layout, _rows(file, reader))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{file}: a price table must be CSV in UTF-8, got {error}") from error
    except OSError as error:
        raise InputError(f"{file}: a price table must be a readable file, got {error.strerror}") from error


def to_row(price: Price) -> dict[str, str]:
    """Return the price as a row of dnaml's own layout; `parse_file` gives the same price back."""
    network_mbps = None if price.network_bytes_per_s is None else price.network_bytes_per_s * 8 / 1e6
    values = {
        "provider": price.provider, "region": price.region, "instance_type": price.instance_type,
        "vcpus": _text(price.vcpus), "memory_gib": _text(price.memory_bytes, GIB),
        "cpu_manufacturer": price.cpu_manufacturer, "cpu_clock_mhz": _text(price.clock_hz, 1e6),
        "arch": price.architecture, "accelerator": price.accelerator,
        "accelerator_count": _text(price.accelerator_count),
        "accelerator_mem_mib": _text(price.accelerator_memory_bytes, MIB), "network_mbps": _text(network_mbps),
        "ondemand_usd_h": _text(price.on_demand_usd_per_h), "spot_usd_h": _text(price.spot_usd_per_h),
        "price_date": price.price_date.isoformat() if price.price_date else "", "source": price.source,
    }  # fmt: skip
    assert tuple(values) == COLUMNS
    return values


class _Row:
    """One line of a file under check: every getter raises InputError with file, line, column and value."""

    def __init__(self, place: str, fields: Mapping[str, str]) -> None:
        self.place = place
        self._fields = fields

    def text(self, column: str) -> str:
        return self._fields.get(column, "").strip()

    def required(self, column: str) -> str:
        value = self.text(column)
        if not value or not value.isprintable():
            self.refuse(column, "must be printable text", value)
        return value

    def amount(self, column: str) -> float | None:
        """Return a number that is finite and not negative, or None for a blank field."""
        raw = self.text(column)
        if not raw:
            return None
        try:
            value = float(raw)
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or value < 0:
            self.refuse(column, "must be a finite number, not negative", raw)
        return value

    def size(self, column: str, unit: float = 1.0) -> float | None:
        """Return a quantity in base units, or None: a source that writes 0 for a size does not know it."""
        value = self.amount(column)
        return value * unit if value else None

    def whole(self, column: str, unit: int) -> int | None:
        value = self.size(column, unit)
        return None if value is None else round(value)

    def day(self, column: str) -> date | None:
        raw = self.text(column)
        try:
            return date.fromisoformat(raw) if raw else None
        except ValueError:
            self.refuse(column, "must be a date like 2026-07-20", raw)

    def refuse(self, column: str, rule: str, value: str) -> NoReturn:
        raise InputError(f"{self.place}, column {column}: {rule}, got {value!r}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
    """How a row becomes a price, and whether several rows (zones) may name the same instance type."""

    to_price: Callable[[_Row], Price]
    zones: bool


def _layout(file: Path, columns: Sequence[str], provider: str | None, price_date: date | None) -> _Layout:
    if set(columns) >= _NEEDED:
        return _Layout(to_price=_own, zones=False)
    if set(columns) >= _SKYPILOT_NEEDED:
        # catalogs/v8/aws/vms.csv, or aws.csv.
        named = provider or (file.resolve().parent.name if file.stem == "vms" else file.stem)
        return _Layout(to_price=lambda row: _skypilot(row, named, file.name, price_date), zones=True)
    raise InputError(
        f"{file}: the columns must include {', '.join(sorted(_NEEDED))} (dnaml) or "
        f"{', '.join(sorted(_SKYPILOT_NEEDED))} (SkyPilot), got {', '.join(columns) or 'none'}"
    )


def _rows(file: Path, reader: "csv.DictReader[str]") -> Iterator[_Row]:
    for fields in reader:
        place = f"{file}, line {reader.line_num}"
        # DictReader keeps surplus fields under the key None and fills missing ones with None.
        if None in fields or None in fields.values():
            raise InputError(f"{place}: a row must have the {len(reader.fieldnames or ())} fields of the header")
        yield _Row(place, fields)


def _collect(layout: _Layout, rows: Iterable[_Row]) -> PriceFile:
    prices: dict[str, Price] = {}
    count = without_price = 0
    for row in rows:
        count += 1
        price = layout.to_price(row)
        if price.on_demand_usd_per_h is None and price.spot_usd_per_h is None:
            without_price += 1
        elif price.id not in prices:
            prices[price.id] = price
        elif layout.zones:
            prices[price.id] = _cheaper(prices[price.id], price)
        else:
            raise InputError(f"{row.place}: an instance type must stand once in the table, got {price.id} again")
    return PriceFile(prices=prices, rows=count, without_price=without_price)


def _cheaper(one: Price, other: Price) -> Price:
    """Return one price for two zones of a region: of each kind the lower, as SkyPilot itself reads its catalogue."""
    return replace(
        one,
        on_demand_usd_per_h=_lower(one.on_demand_usd_per_h, other.on_demand_usd_per_h),
        spot_usd_per_h=_lower(one.spot_usd_per_h, other.spot_usd_per_h),
    )


def _lower(one: float | None, other: float | None) -> float | None:
    return min((value for value in (one, other) if value is not None), default=None)


def _own(row: _Row) -> Price:
    network_mbps = row.size("network_mbps")
    return Price(
        provider=row.required("provider"),
        region=row.required("region"),
        instance_type=row.required("instance_type"),
        on_demand_usd_per_h=row.amount("ondemand_usd_h"),
        spot_usd_per_h=row.amount("spot_usd_h"),
        price_date=row.day("price_date"),
        source=row.required("source"),
        vcpus=row.size("vcpus"),
        memory_bytes=row.whole("memory_gib", GIB),
        cpu_manufacturer=row.text("cpu_manufacturer"),
        clock_hz=row.size("cpu_clock_mhz", 1e6),
        architecture=row.text("arch"),
        accelerator=row.text("accelerator"),
        accelerator_count=row.size("accelerator_count"),
        accelerator_memory_bytes=row.whole("accelerator_mem_mib", MIB),
        network_bytes_per_s=None if network_mbps is None else network_mbps * 1e6 / 8,
    )


def _skypilot(row: _Row, provider: str, source: str, price_date: date | None) -> Price:
    accelerator, count = row.text("AcceleratorName"), row.size("AcceleratorCount")
    # Google's accelerators are sold apart from machines and stand in rows without an instance type.
    instance_type = row.text("InstanceType") or (f"accelerator:{accelerator}:{count or 1:g}" if accelerator else "")
    if not instance_type:
        row.refuse("InstanceType", "must be given where AcceleratorName is not", "")
    return Price(
        provider=provider,
        region=row.required("Region"),
        instance_type=instance_type,
        on_demand_usd_per_h=row.amount("Price"),
        spot_usd_per_h=row.amount("SpotPrice"),
        price_date=price_date,
        source=f"SkyPilot catalog, {source}",
        vcpus=row.size("vCPUs"),
        memory_bytes=row.whole("MemoryGiB", GIB),
        architecture=row.text("Arch"),
        accelerator=accelerator,
        accelerator_count=count,
        accelerator_memory_bytes=_gpu_memory_bytes(row.text("GpuInfo")),
    )


def _gpu_memory_bytes(gpu_info: str) -> int | None:
    """Return the memory of one GPU from SkyPilot's GpuInfo, a Python literal; None where it does not say."""
    try:
        size_mib = ast.literal_eval(gpu_info)["Gpus"][0]["MemoryInfo"]["SizeInMiB"]
        return round(float(size_mib) * MIB) or None
    except (ValueError, SyntaxError, TypeError, LookupError, OverflowError, RecursionError):
        return None


def _text(value: float | None, unit: float = 1.0) -> str:
    # repr is the shortest text that reads back as the same number.
    return "" if value is None else repr(value / unit).removesuffix(".0")
