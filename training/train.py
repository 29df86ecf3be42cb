"""Trains a model on a run table: judge by what was held back, fit on all of it, save, write the card, log to MLflow.

python -m training.train --config training/configs/dnaml-small.toml
"""

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from dnaml.datasets.data_card import DataCard, card_of
from dnaml.datasets.table import RunTable, load_runs
from dnaml.predict import logged, model_card
from dnaml.predict.evaluation import Answers, Held, Plan, Score, answers, scores
from dnaml.predict.recipe import Recipe, contenders
from training.configured import commit, configured


@dataclass(frozen=True)
class Config:
    """Trains a model on one run table and says how well it predicts what it never saw."""

    table: str = "data/telemetry/runs.parquet"
    """run table to learn from, Parquet or CSV"""
    out: str = "models/dnaml-small"
    """folder of the model"""
    drop: tuple[str, ...] = ()
    """patterns of columns that are not learned from"""
    copies: int = 0
    """copies of each resource that are faster or slower throughout, see dnaml.datasets.rescaled"""
    reach: float = 4.0
    """by which factor at most"""
    originals: bool = True
    """learn from the resources as measured too, not from their copies alone"""
    held: tuple[str, ...] = ("resource", "family", "cell", "both")
    """what is held back to judge by: resource, family, computation, cell, both, later"""
    probes: tuple[int, ...] = (0, 1, 3, 10)
    """runs of each new resource or computation that are then given"""
    folds: int = 5
    """folds of each"""
    name: str = "dnaml"
    """name of the registered model"""
    alias: str = "current"
    """alias of the registered version; models:/NAME/latest is the newest in any case"""
    track: bool = True
    """log to MLflow: $MLFLOW_TRACKING_URI, else the state folder"""
    command: str = ""
    """what the card says made the model; empty: this script and its arguments"""
    seed: int = 0


def main(config: Config) -> int:
    """Train and judge as configured."""
    # Load
    table = load_runs(config.table)
    data = card_of(table)
    recipe = Recipe(
        seed=config.seed, drop=config.drop, copies=config.copies, reach=config.reach, originals=config.originals
    )
    plan = Plan(
        held=tuple(Held(one) for one in config.held), probes=config.probes, folds=config.folds, seed=config.seed
    )

    # Judge: fits on parts of the table, beside the simple predictors
    made = judged(table, recipe, plan)
    found = scores(made)
    print("\n".join(model_card.score_lines(found)))

    # Fit on all of it and save
    model = recipe.fit(table)
    out = Path(config.out)
    model.save(out, compact=True)
    (out / "CARD.md").write_text(card(config, data, found))
    print(f"saved: {out}")

    # Log
    if config.track:
        ids = sorted(set(table.frame["resource_id"]))
        trained = logged.Trained(model=model, folder=out, data=data, answers=made, scores=found, resource_ids=ids)
        tags = {"commit": commit(), "table": config.table}
        kept = logged.log(trained, name=config.name, alias=config.alias or None, params=asdict(config), tags=tags)
        print(f"logged: {kept.address}")
    return 0


def judged(table: RunTable, recipe: Recipe, plan: Plan) -> list[Answers]:
    """Return the answers of the predictor and of the simple ones, under a progress bar."""
    fits = contenders(recipe)
    made: list[Answers] = []
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("judging", total=None)
        for one in answers(table, fits, plan):
            made.append(one)
            held = one.held.value if one.held else ""
            progress.update(task, description=f"judging: {held}, {one.probes} probes, {one.estimator}", advance=1)
    return made


def card(config: Config, data: DataCard, found: Sequence[Score]) -> str:
    """Return the model card."""
    facts = model_card.Facts(
        name=Path(config.out).name,
        purpose=PURPOSE,
        command=config.command or f"python -m training.train {' '.join(sys.argv[1:])}".strip(),
        day=date.today().isoformat(),
        commit=commit(),
        licence="Apache-2.0, as the rest of the project; so is the table it learned from.",
        data=f"`{config.table}`, see the card beside it. " + (COPIES.format(**asdict(config)) if config.copies else ""),
        limits=LIMITS,
    )
    return model_card.written(facts, data, found)


PURPOSE = (
    "A small `dnaml.RuntimePredictor` that answers before anything has run: it predicts how long a computation takes"
    " on a machine\nthat it never saw, from the machine's probe scores and sheet and from what the computation demands."
)
COPIES = (
    "Each resource was shown {copies} times as a machine that is up to {reach:g} times faster or slower throughout"
    " (derived rows, never judged by; as measured too: {originals}), because runs of one processor do not tell how"
    " runtimes follow speed."
)
LIMITS = (
    "All runs are of one processor under switches of its libraries: on another make of processor, on a GPU or over a"
    " network the first answers rest on probe scores and physics alone. A few probe runs there (`update`) mend most.",
    "Held-out resources are of the same machine, so the figures above flatter it for other machines.",
    "Kernels of one core that take 1 ms to 10 s; longer work is an extrapolation along its size.",
)

if __name__ == "__main__":
    sys.exit(main(configured(Config)))
