"""Verbs that change the pool of a service: declare resources, remove them, measure one of its machine's."""

import tomllib
from typing import Any
from urllib.parse import quote

from dnaml.cli import probe as probe_verb
from dnaml.cli import resources as resources_verb
from dnaml.cli.remote.asking import resource_of
from dnaml.cli.remote.desk import Desk, Json
from dnaml.cli.screen import Screen
from dnaml.core.errors import InputError

_PROBE_S = 60.0  # some seconds of micro-probes, on a busy machine more


def add(screen: Screen, desk: Desk, *, source: str, resource_id: str | None, spot: bool) -> None:
    """Declare resources to a service, all that a file here names."""
    from dnaml.telemetry.declared import dump_resources

    added = resources_verb.named(screen, source, resource_id, spot=spot)
    tables: dict[str, Json] = tomllib.loads(dump_resources(added)).get("resources", {})
    told = [resource_of(desk.post("/resources", {"id": name, **fields})) for name, fields in tables.items()]
    screen.answer(told, resources_verb.resource_table(told))


def rm(screen: Screen, desk: Desk, *, ids: list[str]) -> None:
    """Remove resources from a service's pool; what runs on them goes on elsewhere."""
    for wanted in ids:
        desk.wire.ask("DELETE", _path(wanted))
    screen.answer({"removed": ids}, f"removed {', '.join(ids)}")


def probe(screen: Screen, desk: Desk, *, resource_id: str, price: float | None, save: bool) -> None:
    """Have a service measure a resource of its machine."""
    if price is not None or not save:
        raise InputError("--price, --no-save: belong to this machine; a service keeps what it measures")
    with screen.working(f"{desk.url} measures {resource_id}"):
        told: Any = desk.wire.ask("POST", f"{_path(resource_id)}/probe", wait_s=_PROBE_S, once=True)
    profiled = resource_of(told)
    screen.answer(profiled, *probe_verb.describe(profiled))


def _path(resource_id: str) -> str:
    return f"/resources/{quote(resource_id, safe='/')}"
