"""`dnaml match JOB`: resources ranked by the likeness of their DNA to what the job demands."""

from collections.abc import Mapping
from dataclasses import asdict
from enum import Enum
from typing import Annotated, Any

import typer

from dnaml.cli import amounts
from dnaml.cli.screen import Screen, table
from dnaml.cli.verbs import JobSource, alone, verb

app = alone()


class Metric(Enum):
    """Is how two vectors are compared."""

    COSINE = "cosine"  # the angle: same mix of demands
    EUCLIDEAN = "euclidean"  # the distance


@verb(app, example="dnaml match dnaml.yaml --metric euclidean -k 3", over="asking:match")
def match(
    screen: Screen,
    source: JobSource,
    metric: Annotated[Metric, typer.Option(help="How the vectors are compared.")] = Metric.COSINE,
    count: Annotated[int, typer.Option("-k", min=1, help="Show so many, best first.")] = 5,
    slots: Annotated[bool, typer.Option("--slots", help="Show both vectors, slot by slot.")] = False,
) -> None:
    """Rank resources by the likeness of their DNA to the job's; what is unknown on either side does not count."""
    from dnaml.cli.pool import resources_or_this_machine
    from dnaml.cli.work import prepare
    from dnaml.dna.space import SLOTS, computation_dna, resource_dna
    from dnaml.dna.space import match as ranked

    work = prepare(source, screen.state)
    pool = resources_or_this_machine(screen)
    computation = work.computation
    found = ranked(computation, pool, metric=metric.value, k=count)
    wanted = computation_dna(computation)
    offered = {one.id: resource_dna(one) for one in pool}
    names = [one.resource_id for one in found]
    value: dict[str, Any] = {  # JSON values
        "computation_id": computation.id,
        "metric": metric.value,
        "matches": [asdict(one) for one in found],
        "version": wanted.version,
        "slots": SLOTS,
        "computation_dna": wanted.vector,
        "resource_dna": {name: offered[name].vector for name in names},
    }
    show(screen, value, slots=slots)


def show(screen: Screen, value: Mapping[str, Any], *, slots: bool) -> None:  # JSON values
    """Answer with a ranking, and both vectors slot by slot where they are asked for."""
    found = value["matches"]
    rows = [
        (one["resource_id"], _cell(one["similarity"], 3), _cell(one["distance"], 3), one["shared_slots"])
        for one in found
    ]
    shown = [table("", ("resource", ">similarity", ">distance", ">slots known to both"), rows)]
    if slots:
        names = [one["resource_id"] for one in found]
        vectors = [value["computation_dna"], *(value["resource_dna"][name] for name in names)]
        cells = [(slot, *(_cell(vector[i]) for vector in vectors)) for i, slot in enumerate(value["slots"])]
        shown.append(table("", ("slot", ">job demands", *(f">{name}" for name in names)), cells))
    known = found and found[0]["shared_slots"]
    hint = "" if known else "; nothing is known of its demand: dnaml fingerprint JOB measures it"
    screen.answer(value, *shown, f"{value['computation_id']}, {value['metric']} over DNA {value['version']}{hint}")


def _cell(value: float | None, digits: int = 2) -> str:
    return amounts.UNKNOWN if value is None or value != value else f"{value:.{digits}f}"
