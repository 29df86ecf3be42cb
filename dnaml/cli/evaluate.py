"""`dnaml evaluate`: how well a saved model answers a run table, or how well one fitted on its parts does."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dnaml.cli.screen import Screen
from dnaml.cli.train import judged, score_tables, table_of
from dnaml.cli.verbs import alone, verb
from dnaml.core.errors import InputError
from dnaml.predict.evaluation import Held, Plan

if TYPE_CHECKING:
    from dnaml.predict.runtime import RuntimePredictor

app = alone()

SHIPPED = "shipped"


@verb(app, example="dnaml evaluate runs.parquet --model models:/dnaml/latest")
def evaluate(
    screen: Screen,
    file: Annotated[Path | None, typer.Argument(metavar="TABLE", help="A run table: .parquet or .csv.")] = None,
    from_state: Annotated[bool, typer.Option("--from-state", help="Use the runs of the state folder.")] = False,
    model: Annotated[
        str | None, typer.Option(help="A model folder, models:/NAME/VERSION, or `shipped`; else one is fitted.")
    ] = None,
    held: Annotated[
        list[Held] | None, typer.Option(help="What a fold keeps from training (default: resource, family, cell).")
    ] = None,
    probes: Annotated[
        list[int] | None, typer.Option(min=0, help="Runs of each new thing given before asking (default: 0, 1, 3).")
    ] = None,
    folds: Annotated[int, typer.Option(min=2, help="Folds of each.")] = 3,
    seed: Annotated[int, typer.Option(help="Draws folds and probes.")] = 0,
) -> None:
    """Judge predictions on a run table beside the simple predictors: error, coverage, order, regret.

    Without --model, predictors are fitted on parts of the table and judged on the rest. A given model is asked about
    the whole table, by what it knew of each pair.
    """
    from dnaml.datasets.data_card import card_of
    from dnaml.predict.evaluation import scores
    from dnaml.predict.recipe import Recipe, asked_of

    if model is not None and (held or probes):
        raise InputError("--model is asked about the table as it is: leave --held and --probes out")
    table = table_of(screen, file, from_state)
    if model is not None:
        with screen.working(f"asking {model}"):
            found = asked_of(model_at(model, screen.state), table)
    else:
        chosen = Plan(folds=folds, seed=seed, probes=tuple(probes or (0, 1, 3)), held=tuple(held or Plan().held))
        found = scores(judged(screen, table, Recipe(seed=seed), chosen))
    if not found:
        raise InputError(f"{file or screen.state}: nothing could be judged on {len(table)} runs")
    value = {"model": model, "data": card_of(table), "scores": found}
    screen.answer(value, *score_tables(found))


def model_at(address: str, state: Path) -> "RuntimePredictor":
    """Return the model of a folder, of a `models:/` address in the state folder's registry, or the shipped one."""
    from dnaml import tracking
    from dnaml.datasets import shipped
    from dnaml.predict.runtime import RuntimePredictor

    if address == SHIPPED:
        return RuntimePredictor.load(shipped.model_folder())
    if address.startswith(tracking.SCHEME):
        return RuntimePredictor.load(tracking.model_folder(address, store=tracking.store_of(state)))
    return RuntimePredictor.load(address)
