"""`dnaml prices`: what machines cost, always with the date of the price."""

from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dnaml.cli import amounts
from dnaml.cli.screen import Screen, table
from dnaml.cli.verbs import family, verb

if TYPE_CHECKING:
    from dnaml.datasets.price_rows import Price

app = family("Show, find and import dated prices of machines.")


@verb(app, "ls", example="dnaml prices ls", over="asking:known_prices")
def ls(screen: Screen) -> None:
    """Say which prices are known: how many of each provider, and from when."""
    from dnaml.answers.prices import providers
    from dnaml.datasets.catalog import load_prices

    show_providers(screen, providers(load_prices(screen.state)))


def show_providers(screen: Screen, rows: list[dict[str, Any]]) -> None:  # JSON values
    """Answer with one row a provider."""
    shown = [(row["provider"], row["prices"], row["regions"], _span(row["dates"])) for row in rows]
    screen.answer(rows, table("", ("provider", ">prices", ">regions", "price dates"), shown))


@verb(app, "find", example="dnaml prices find --accelerator A100 --memory 64GB --spot", over="asking:prices")
def find(
    screen: Screen,
    instance_type: Annotated[str | None, typer.Argument(metavar="TYPE", help="The beginning of a type.")] = None,
    provider: Annotated[str | None, typer.Option(help="aws, gcp, azure, ...")] = None,
    region: Annotated[str | None, typer.Option(help="A whole region's name.")] = None,
    accelerator: Annotated[str | None, typer.Option(help="A whole accelerator's name, A100.")] = None,
    cpus: Annotated[str | None, typer.Option(help="At least so many virtual cores.")] = None,
    memory: Annotated[str | None, typer.Option(help="At least so much memory, 64GB.")] = None,
    spot: Annotated[bool, typer.Option("--spot", help="Spot prices instead of on demand.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Show so many, cheapest first.")] = 20,
) -> int:
    """Find the cheapest machines that fit; exit code 1 if there is none."""
    from dnaml.datasets.catalog import PriceQuery, load_prices
    from dnaml.jobfile.sizes import parse_count, parse_memory

    query = PriceQuery(
        provider=provider,
        region=region,
        instance_type=instance_type,
        accelerator=accelerator,
        least_vcpus=parse_count(cpus, what="--cpus").amount if cpus else None,
        least_memory_bytes=int(parse_memory(memory, what="--memory").amount) if memory else None,
        spot=spot,
    )
    found = load_prices(screen.state).find(query)
    return show_prices(screen, [_row(price, spot=spot) for price in found[:limit]], f"{len(found)}")


def show_prices(screen: Screen, rows: list[dict[str, Any]], total: str) -> int:  # JSON values
    """Answer with prices, cheapest first; return the exit code."""
    columns = ("id", ">per hour", ">cores", ">memory", "?accelerator", "?price date", "??source")
    shown = [
        (
            row["id"],
            amounts.usd(row["price_usd_per_h"]),
            amounts.UNKNOWN if row["vcpus"] is None else f"{row['vcpus']:g}",
            amounts.size(row["memory_bytes"]),
            f"{row['accelerator']}:{row['accelerator_count']:g}" if row["accelerator"] else "",
            row["price_date"],
            row["source"],
        )
        for row in rows
    ]
    screen.answer(rows, table(f"{len(rows)} of {total}, cheapest first", columns, shown))
    return 0 if rows else 1


@verb(app, "import", example="dnaml prices import aws.csv --date 2026-07-20")
def import_(
    screen: Screen,
    file: Annotated[Path, typer.Argument(help="A CSV table: dnaml's own layout, or SkyPilot's catalogue.")],
    provider: Annotated[str | None, typer.Option(help="Whose prices these are, if the file does not say.")] = None,
    price_date: Annotated[
        datetime | None, typer.Option("--date", formats=["%Y-%m-%d"], help="From when, if the file does not say.")
    ] = None,
) -> None:
    """Take over a whole table of prices; they cover the shipped ones."""
    from dnaml.datasets.catalog import import_prices

    day: date | None = price_date.date() if price_date else None
    with screen.working(f"reading {file}"):
        done = import_prices(file, into=screen.state, provider=provider, price_date=day)
    screen.answer(
        done, f"{done.imported} prices from {done.rows} rows ({done.without_price} without a price) in {done.path}"
    )


def _row(price: "Price", *, spot: bool) -> dict[str, Any]:
    return {
        "id": price.id,
        "price_usd_per_h": price.usd_per_h(spot=spot),
        "spot": spot,
        "price_date": price.date_text,
        "source": price.source,
        "vcpus": price.vcpus,
        "memory_bytes": price.memory_bytes,
        "accelerator": price.accelerator or None,
        "accelerator_count": price.accelerator_count or 1.0 if price.accelerator else None,
    }


def _span(dates: list[str]) -> str:
    return dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
