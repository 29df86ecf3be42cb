"""`dnaml train`: learns a model from a run table, judges it by what was held back, registers it."""

from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from dnaml.cli.screen import Screen
from dnaml.cli.verbs import alone, verb
from dnaml.core.errors import InputError
from dnaml.predict.evaluation import Held, Plan

if TYPE_CHECKING:
    from rich.console import RenderableType

    from dnaml.datasets.table import RunTable
    from dnaml.predict.evaluation import Answers, Score
    from dnaml.predict.recipe import Recipe

app = alone()

FEWEST_TO_JUDGE = 20  # runs; below, a part held back says nothing


@verb(app, example="dnaml train runs.parquet --name dnaml", over="asking:train")
def train(
    screen: Screen,
    file: Annotated[Path | None, typer.Argument(metavar="TABLE", help="A run table: .parquet or .csv.")] = None,
    from_state: Annotated[bool, typer.Option("--from-state", help="Learn from the runs of the state folder.")] = False,
    name: Annotated[str, typer.Option(help="The model is registered under this name.")] = "dnaml",
    alias: Annotated[str | None, typer.Option(help="An alias for this version; `latest` is always the newest.")] = None,
    out: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Save the model folder here too.")] = None,
    seed: Annotated[int, typer.Option(help="Same seed and table, same model.")] = 0,
    held: Annotated[
        list[Held] | None, typer.Option(help="What is held back to judge by (default: resource, family, cell).")
    ] = None,
    folds: Annotated[int, typer.Option(min=0, help="Folds of each; 0 does not judge.")] = 3,
    track: Annotated[bool, typer.Option("--track/--no-track", help="Log to MLflow and register.")] = True,
) -> None:
    """Learn from a run table, say how well the model predicts what it never saw, and register it."""
    if not track and out is None:
        raise InputError("--no-track needs --out FOLDER: else the model would be lost")
    from dnaml import tracking
    from dnaml.datasets.data_card import card_of
    from dnaml.predict import logged
    from dnaml.predict.evaluation import scores
    from dnaml.predict.recipe import Recipe

    table = table_of(screen, file, from_state)
    if len(table) == 0:
        raise InputError(f"{file or screen.state}: holds no run to learn from; set aside: {table.reasons() or 'none'}")
    recipe = Recipe(seed=seed)
    judging = folds > 1 and len(table) >= FEWEST_TO_JUDGE
    chosen = Plan(folds=max(folds, 2), seed=seed, probes=(0, 3), held=tuple(held or Plan().held))
    made = judged(screen, table, recipe, chosen) if judging else []
    with screen.working(f"learning from {len(table)} runs"):
        model = recipe.fit(table)
    data, found = card_of(table), scores(made)
    address = None
    with TemporaryDirectory() if out is None else nullcontext(out) as folder:
        model.save(folder)
        if track:
            ids = sorted(set(table.frame["resource_id"]))
            trained = logged.Trained(
                model=model, folder=Path(folder), data=data, answers=made, scores=found, resource_ids=ids
            )
            with screen.working("registering the model"):
                store = tracking.store_of(screen.state)
                address = logged.log(trained, name=name, alias=alias, params=asdict(recipe), store=store).address
    value = {"address": address, "folder": out, "set_aside": model.set_aside, "data": data, "scores": found}
    end = f"learned from {len(table)} runs: {address or out}"
    screen.answer(value, *score_tables(found), end)


def table_of(screen: Screen, file: Path | None, from_state: bool) -> "RunTable":
    """Return the run table of a file, or of the state folder's journal."""
    from dnaml.datasets.table import RunTable, load_runs

    if (file is None) != from_state:
        raise InputError("name either a TABLE or --from-state" + (", not both" if file else ""))
    if file is not None:
        return load_runs(file)
    from dnaml.history import History

    if not (screen.state / "journal.sqlite").exists():
        raise InputError(f"{screen.state}: holds no runs yet")
    return RunTable.from_runs(History.read(screen.state).runs())


def judged(screen: Screen, table: "RunTable", recipe: "Recipe", plan: "Plan") -> "list[Answers]":
    """Return how a recipe and the simple predictors answered what was held back; what cannot be held is noted."""
    from dnaml.predict.evaluation import answers
    from dnaml.predict.recipe import contenders

    made: list[Answers] = []
    for held in plan.held:
        with screen.working(f"judging by {held.value} held back"):
            try:
                made += answers(table, contenders(recipe), replace(plan, held=(held,)))
            except InputError as error:
                screen.note(f"not judged: {error}")
    return made


def score_tables(found: "list[Score]") -> "list[RenderableType]":
    """Return scores as one table for people, none where there is no score."""
    from dnaml.cli.screen import table
    from dnaml.predict.model_card import COLUMNS, score_cells

    columns = [name if name in ("never seen", "by") else f">{name}" for name in COLUMNS]
    return [table("", columns, map(score_cells, found))] if found else []
