"""`dnaml demo`: the whole main job on this machine, in at most four minutes, with a report at the end."""

from pathlib import Path
from typing import Annotated

import typer

from dnaml.cli.screen import Screen
from dnaml.cli.verbs import alone, verb

app = alone()


@verb(app, example="dnaml demo --seed 7")
def demo(
    screen: Screen,
    seed: Annotated[int, typer.Option(min=0, help="Draws sizes and order of the batch.")] = 0,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the report goes.")] = Path("demo-report"),
    chaos: Annotated[bool, typer.Option("--chaos", help="Instead: one batch while workers are killed and frozen.")] = (
        False
    ),
) -> int:
    """Profile this machine, learn from real runs, place a batch better than every simple policy, lose a worker."""
    if chaos:
        from dnaml.demo import chaos as under_faults

        return under_faults.run(seed=seed, json=screen.as_json)
    from dnaml.demo.main import run

    return run(seed=seed, out=out, json=screen.as_json)
