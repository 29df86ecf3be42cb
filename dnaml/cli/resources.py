"""`dnaml resources`: the pool that jobs may use; declared in TOML, taken from the price table, or probed."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dnaml.cli import amounts
from dnaml.cli.screen import Screen, table
from dnaml.cli.verbs import family, verb
from dnaml.core.errors import InputError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from dnaml.core.resource import Resource
    from dnaml.datasets.price_rows import Price

app = family("List, declare and remove the resources that jobs may use.")


@verb(app, "ls", example="dnaml resources ls --json", over="asking:resources")
def ls(screen: Screen) -> None:
    """List the resources of the state folder, declared and probed."""
    from dnaml.cli.pool import known_resources

    known = known_resources(screen.state)
    hint = "" if known else "none yet; dnaml probe measures this machine, dnaml submit does so by itself"
    screen.answer(known, *((resource_table(known),) if known else (hint,)))


@verb(
    app,
    "add",
    example="dnaml resources add pool.toml   or   dnaml resources add aws/us-east-1/m7i.large",
    over="pool:add",
)
def add(
    screen: Screen,
    source: Annotated[str, typer.Argument(help="A TOML file of resources, or a price id (see: dnaml prices find).")],
    resource_id: Annotated[str | None, typer.Option("--id", help="Another id for the one resource added.")] = None,
    spot: Annotated[bool, typer.Option("--spot", help="At the spot price, labelled as spot.")] = False,
) -> None:
    """Declare resources; one with an id that is there already replaces it."""
    from dnaml.cli.pool import keep

    added = named(screen, source, resource_id, spot=spot)
    keep(screen.state, added)
    screen.answer(added, resource_table(added))


@verb(app, "rm", example="dnaml resources rm gpu0", over="pool:rm")
def rm(screen: Screen, ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of resources.")]) -> None:
    """Remove resources from the pool; jobs that run on them are left alone."""
    from dnaml.cli.pool import known_resources, replace_all

    known = {one.id: one for one in known_resources(screen.state)}
    for wanted in ids:
        if wanted not in known:
            raise NotFoundError(f"{wanted}: no such resource; known are {', '.join(known) or 'none'}")
    replace_all(screen.state, [one for one in known.values() if one.id not in ids])
    screen.answer({"removed": ids}, f"removed {', '.join(ids)}")


def resource_table(resources: "Sequence[Resource]") -> "Table":
    """Return the table of a pool, prices with their dates."""
    columns = (
        "id",
        "kind",
        "???site",
        "?unit",
        ">slots",
        "?>memory",
        ">per hour",
        "??price date",
        "??>fp64",
        "???>memory speed",
    )
    rows = [
        (
            one.id,
            one.kind.value,
            one.site.value,
            one.unit_type.value if one.unit_type else amounts.UNKNOWN,
            one.slots,
            amounts.size(one.memory_bytes),
            amounts.usd(one.price_usd_per_h),
            one.price_date or amounts.UNKNOWN,
            amounts.rate(one.spec.get("fp64_flop_per_s"), "FLOP/s"),
            amounts.rate(one.spec.get("sequential_bytes_per_s"), "B/s"),
        )
        for one in resources
    ]
    return table("", columns, rows)


def named(screen: Screen, source: str, resource_id: str | None, *, spot: bool) -> "tuple[Resource, ...]":
    """Return the resources that a file or a price's id stands for; one of them alone may get another id."""
    added = _read(screen, source, spot=spot)
    if resource_id is None:
        return added
    if len(added) != 1:
        raise InputError(f"--id: names one resource, {source} holds {len(added)}")
    return (replace(added[0], id=resource_id),)


def _read(screen: Screen, source: str, *, spot: bool) -> "tuple[Resource, ...]":
    from dnaml.datasets.catalog import load_prices
    from dnaml.telemetry.declared import read_resources

    path = Path(source)
    if path.suffix == ".toml" or path.exists():
        return tuple(read_resources(path))
    return (_of_price(load_prices(screen.state).get(source), spot=spot),)


def _of_price(price: "Price", *, spot: bool) -> "Resource":
    """Return the rented machine that a price is for, as far as the price table tells."""
    from dnaml.core.resource import Kind, Resource, Site

    usd_per_h = price.usd_per_h(spot=spot)
    if usd_per_h is None:
        raise InputError(f"{price.id}: the price table quotes no {'spot' if spot else 'on-demand'} price")
    numbers = {
        "cores": price.vcpus,
        "clock_average_hz": price.clock_hz,
        "accelerator_count": price.accelerator_count,
        "accelerator_memory_bytes": price.accelerator_memory_bytes,
    }
    words = {
        "provider": price.provider,
        "region": price.region,
        "instance_type": price.instance_type,
        "accelerator": price.accelerator,
        "architecture": price.architecture,
        "use_spot": "true" if spot else "",
    }
    return Resource(
        id=price.id,
        kind=Kind.GPU if price.accelerator else Kind.CPU,
        site=Site.CLOUD,
        domain=f"{price.provider}/{price.region}",
        memory_bytes=price.memory_bytes,
        price_usd_per_h=usd_per_h,
        price_date=price.date_text,
        bandwidth_bytes_per_s=price.network_bytes_per_s,
        spec={name: float(value) for name, value in numbers.items() if value is not None},
        labels={name: value for name, value in words.items() if value},
        description=price.instance_type,
    )
