"""`dnaml match JOB`: resources ranked by the likeness of their DNA to what the job demands."""

from enum import Enum
from typing import Annotated

import typer

from dnaml.cli import amounts
from dnaml.cli.screen import Screen, table
from dnaml.cli.verbs import JobSource, alone, verb

app = alone()


class Metric(Enum):
    """Is how two vectors are compared."""

    COSINE = "cosine"  # the angle: same mix of demands
    EUCLIDEAN = "euclidean"  # the distance


@verb(app, example="dnaml match dnaml.yaml --metric euclidean -k 3")
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
    value = {
        "computation_id": computation.id,
        "metric": metric.value,
        "version": wanted.version,
        "matches": found,
        "slots": SLOTS,
        "computation_dna": wanted.vector,
        "resource_dna": {name: offered[name].vector for name in names},
    }
    rows = [(one.resource_id, f"{one.similarity:.3f}", f"{one.distance:.3f}", one.shared_slots) for one in found]
    shown = [table("", ("resource", ">similarity", ">distance", ">slots known to both"), rows)]
    if slots:
        vectors = [wanted.vector, *(offered[name].vector for name in names)]
        cells = [(slot, *(_cell(float(vector[i])) for vector in vectors)) for i, slot in enumerate(SLOTS)]
        shown.append(table("", ("slot", ">job demands", *(f">{name}" for name in names)), cells))
    hint = (
        "" if found and found[0].shared_slots else "; nothing is known of its demand: dnaml fingerprint JOB measures it"
    )
    screen.answer(value, *shown, f"{computation.id}, {metric.value} over DNA {wanted.version}{hint}")


def _cell(value: float) -> str:
    return amounts.UNKNOWN if value != value else f"{value:.2f}"
