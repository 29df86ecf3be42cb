"""Resources in a TOML file: declared ones (FPGA, ASIC, remote, cloud) and the profiles of probed ones.

One table a resource, `[resources.fpga0]`, with the fields of `Resource`; a field that is left out stays unknown.
`memory`, `bandwidth`, `startup`, `latency`, `power` and `price` may stand for the fields with a unit in their name.
"""

import difflib
import math
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import fields
from enum import Enum
from pathlib import Path
from typing import Any

from dnaml.core.errors import InputError
from dnaml.core.types import Kind, Resource, Site, UnitType
from dnaml.telemetry.quantities import quantity

_SHORT = {
    "memory": "memory_bytes",
    "bandwidth": "bandwidth_bytes_per_s",
    "startup": "startup_s",
    "latency": "latency_s",
    "power": "power_w",
    "price": "price_usd_per_h",
}
_QUANTITIES = frozenset(_SHORT.values()) | {"cpu_quota_share"}
_ENUMS: Mapping[str, type[Enum]] = {"kind": Kind, "site": Site, "unit_type": UnitType}
_TEXTS = ("domain", "price_date", "description")
_TABLES = ("labels", "environment")
_KNOWN = tuple(f.name for f in fields(Resource) if f.name != "id") + tuple(_SHORT)
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")

Table = Mapping[str, Any]
"""A TOML table: its values are what the file holds, to be checked."""


def read_resources(path: Path) -> tuple[Resource, ...]:
    """Return the resources of a file in its order; InputError names file, resource, field, rule and value."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    except (ValueError, RecursionError) as error:  # no TOML, a number of too many digits, nested too deep
        raise InputError(f"{path}: must be TOML: {error}") from error
    for key in content:
        if key != "resources":
            raise InputError(f"{path}: unknown key {key!r}; resources stand in tables [resources.NAME]")
    tables = content.get("resources", {})
    if not isinstance(tables, dict):
        raise InputError(f"{path}: resources must be tables [resources.NAME], got {tables!r}")
    try:
        return tuple(resource_from(name, table) for name, table in tables.items())
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def resource_from(resource_id: str, table: Table) -> Resource:
    """Return one resource from its table; raises InputError as `read_resources` does."""
    if not isinstance(table, Mapping):
        raise InputError(f"{resource_id}: must be a table of fields, got {table!r}")
    found: dict[str, Any] = {}
    for key, value in table.items():
        if key not in _KNOWN:
            raise InputError(f"{resource_id}: unknown key {key!r}{_nearest(key, _KNOWN)}")
        field = _SHORT.get(key, key)
        if field in found:
            raise InputError(f"{resource_id}: {key} repeats {field}, got {value!r}")
        found[field] = _value(resource_id, key, field, value)
    if found.get("site", Site.LOCAL) is not Site.LOCAL:
        found.setdefault("domain", resource_id)  # fails by itself, and shares no cores with this machine
    return Resource(id=resource_id, **found)


def write_resources(path: Path, resources: Iterable[Resource]) -> None:
    """Write resources to a file that `read_resources` reads back equal; an old file is replaced whole or not at all."""
    text = dump_resources(resources)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def dump_resources(resources: Iterable[Resource]) -> str:
    """Return resources as TOML; unknown fields and empty tables are left out."""
    return "\n".join(_dump_one(resource) for resource in resources)


def _value(resource_id: str, key: str, field: str, value: object) -> object:
    """Return the checked value of one field."""
    named = f"{resource_id}: {key}"
    if field in _ENUMS:
        return _member(named, _ENUMS[field], value)
    if field in _QUANTITIES:
        if key == "memory" and isinstance(value, int | float) and not isinstance(value, bool):
            value = f"{value}GB"  # as SkyPilot: a bare memory counts gigabytes
        number = quantity(field, value, named=named, needs_unit=key in _SHORT and key != "price")
        return round(number) if field == "memory_bytes" else number
    if field == "slots":
        if not isinstance(value, int) or isinstance(value, bool):
            raise InputError(f"{named} must be a whole number, got {value!r}")
        return value
    if field in _TEXTS:
        return _text(named, value)
    if not isinstance(value, Mapping):
        raise InputError(f"{named} must be a table, got {value!r}")
    if field in _TABLES:
        return {k: _text(f"{named}.{k}", v) for k, v in value.items()}
    return {k: _number(f"{named}.{k}", k, v) for k, v in value.items()}  # spec


def _member(named: str, kind: type[Enum], value: object) -> Enum:
    known = [member.value for member in kind]
    if value not in known:
        raise InputError(f"{named} must be one of {', '.join(known)}, got {value!r}{_nearest(str(value), known)}")
    return kind(value)


def _text(named: str, value: object) -> str:
    if not isinstance(value, str):
        raise InputError(f"{named} must be text, got {value!r}")
    return value


def _number(named: str, key: str, value: object) -> float:
    """Return a number of the spec; every one but a temperature or a difference counts from zero."""
    number = quantity(key, value, named=named)
    if number < 0 and not key.endswith(("_c", "_delta")):
        raise InputError(f"{named} must not be negative, got {value!r}")
    return number


def _nearest(key: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(key, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _dump_one(resource: Resource) -> str:
    head = f"resources.{_key(resource.id)}"
    lines, tables = [f"[{head}]"], []
    for field in fields(Resource):
        value = getattr(resource, field.name)
        if field.name == "id" or value is None or value == "":
            continue
        if isinstance(value, Mapping):
            if value:
                tables += [f"[{head}.{field.name}]", *(f"{_key(k)} = {_literal(v)}" for k, v in sorted(value.items()))]
        else:
            lines.append(f"{field.name} = {_literal(value)}")
    return "\n".join([*lines, *tables]) + "\n"


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _quoted(key)


def _literal(value: object) -> str:
    if isinstance(value, Enum):
        return _quoted(str(value.value))
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, float) and math.isfinite(value):
        return repr(value)  # the shortest text that reads back equal
    return str(value)


def _quoted(text: str) -> str:
    """Return a TOML basic string; control characters are escaped."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c >= " " and c != "\x7f" else f"\\u{ord(c):04x}" for c in escaped) + '"'
