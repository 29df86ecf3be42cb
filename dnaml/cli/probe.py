"""`dnaml probe`: measures this machine, or a declared local resource, and keeps the profile in resources.toml."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from dnaml.cli import amounts
from dnaml.cli.screen import Screen, table
from dnaml.cli.verbs import alone, verb
from dnaml.core.errors import InputError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from dnaml.core.resource import Resource

app = alone()


@verb(app, example="dnaml probe --price 0.20", over="pool:probe")
def probe(
    screen: Screen,
    resource_id: Annotated[str, typer.Argument(metavar="ID", help="A local resource.")] = "local",
    price: Annotated[float | None, typer.Option(help="US dollars an hour, as you account for it.")] = None,
    save: Annotated[bool, typer.Option("--save/--no-save", help="Keep the profile for later jobs.")] = True,
) -> None:
    """Measure a local resource: about four seconds of micro-probes on one core."""
    from dnaml.cli import pool
    from dnaml.datasets.state import StateFolder

    known = {one.id: one for one in pool.known_resources(screen.state)}
    if resource_id not in known and resource_id != "local":
        raise InputError(f"{resource_id}: no such resource; known are {', '.join(known) or 'none'}")
    target = known.get(resource_id) or pool.this_machine()
    if price is not None:
        target = replace(target, price_usd_per_h=price, price_date=None)
    if save:
        StateFolder(screen.state).check()  # before seconds go into probes
    profiled = pool.measured(screen, target)
    if save:
        pool.keep(screen.state, (profiled,))
    screen.answer(profiled, *describe(profiled))


def describe(resource: "Resource") -> "tuple[RenderableType, ...]":
    """Return what people see of one resource: its fields and every measured number."""
    price = amounts.UNKNOWN
    if resource.price_usd_per_h is not None:
        price = f"{amounts.usd(resource.price_usd_per_h)} per hour, price date {resource.price_date or 'not stated'}"
    fields = [
        ("kind", f"{resource.kind.value}, {resource.site.value}, slots {resource.slots}"),
        ("described as", resource.description or amounts.UNKNOWN),
        ("unit type", resource.unit_type.value if resource.unit_type else amounts.UNKNOWN),
        ("memory", amounts.size(resource.memory_bytes)),
        ("price", price),
        ("start-up", amounts.seconds(resource.startup_s)),
        ("power", f"{resource.power_w:.3g} W" if resource.power_w is not None else amounts.UNKNOWN),
        *((f"label {key}", value) for key, value in sorted(resource.labels.items())),
    ]
    numbers = [(name, f"{value:.5g}") for name, value in sorted(resource.spec.items())]
    return table(resource.id, ("field", "value"), fields), table("measured or declared", ("name", ">value"), numbers)
