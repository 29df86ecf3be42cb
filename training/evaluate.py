"""Evaluates predictors on a run table: error, coverage, order and regret per split, over several seeds, with plots.

python -m training.evaluate --table runs.parquet --out evaluation
python -m training.evaluate --table runs.parquet --model models/dnaml-small
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from dnaml.core.errors import InputError
from dnaml.datasets.data_card import card_of
from dnaml.datasets.table import RunTable, load_runs
from dnaml.predict import model_card, pictures
from dnaml.predict.evaluation import Answers, Held, Plan, Score, answered, answers, averaged, scores
from dnaml.predict.logged import series
from dnaml.predict.recipe import Recipe, asked_of, contenders
from dnaml.predict.runtime import RuntimePredictor
from training.configured import commit, configured


@dataclass(frozen=True)
class Config:
    """Judges a saved model, or predictors fitted on parts of the table, beside the simple predictors."""

    table: str = "data/telemetry/runs.parquet"
    """run table, Parquet or CSV"""
    model: str = ""
    """a model folder or models:/ address to ask about the whole table; empty: fit on parts of it"""
    out: str = "evaluation"
    """folder for scores.md, scores.json and the plots"""
    drop: tuple[str, ...] = ()
    """patterns of columns that are not learned from"""
    copies: int = 0
    """copies of each resource that are faster or slower throughout"""
    reach: float = 4.0
    """by which factor at most"""
    held: tuple[str, ...] = ("resource", "family", "computation", "cell", "both", "later")
    """what is held back, each in its turn"""
    probes: tuple[int, ...] = (0, 1, 3, 10)
    """runs of each new resource or computation that are then given"""
    folds: int = 4
    """folds of each"""
    seeds: tuple[int, ...] = (0, 1, 2)
    """of folds, probes and fits; figures are means over them, with their spread"""


def main(config: Config) -> int:
    """Judge, and write what was found."""
    table = load_runs(config.table)
    out = Path(config.out)
    out.mkdir(parents=True, exist_ok=True)

    # A saved model knows what it knows: it is asked once, about everything
    if config.model:
        model = RuntimePredictor.load(config.model)
        found, spread = asked_of(model, table), Spread()
        made = [answered(model, table)]
    # Else every seed draws folds, probes and fits of its own
    else:
        by_seed = [judged(table, config, seed) for seed in config.seeds]
        made = [one for each in by_seed for one in each]
        every = [one for each in by_seed for one in scores(each)]
        found, spread = averaged(every), spread_of(every)

    lines = [*model_card.score_lines(found), "", *spread_lines(spread)]
    head = [f"# Evaluation of {config.model or 'predictors fitted on parts of the table'}", ""]
    facts = [*card_of(table).lines(), "", f"Commit {commit()}, seeds {config.seeds}.", ""]
    (out / "scores.md").write_text("\n".join([*head, *facts, *lines]))
    (out / "scores.json").write_text(json.dumps([asdict(one) for one in found], indent=1) + "\n")
    own = series(made)
    pictures.calibration(own).savefig(out / "calibration.svg")
    pictures.scatter(own).savefig(out / "scatter.svg")
    print("\n".join(lines))
    print(f"written: {out}")
    return 0


def judged(table: RunTable, config: Config, seed: int) -> list[Answers]:
    """Return the answers under one seed; what the table does not let be held is said and left out."""
    recipe = Recipe(seed=seed, drop=config.drop, copies=config.copies, reach=config.reach)
    plan = Plan(probes=config.probes, folds=config.folds, seed=seed)
    made: list[Answers] = []
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=len(config.held))
        for held in config.held:
            progress.update(task, description=f"seed {seed}: {held} held back")
            try:
                made += answers(table, contenders(recipe), replace(plan, held=(Held(held),)))
            except InputError as error:
                print(f"not judged: {error}", file=sys.stderr)
            progress.advance(task)
    return made


Spread = dict[tuple[str, int, str], tuple[float, float]]


def spread_of(found: Sequence[Score]) -> Spread:
    """Return the least and the largest mean error over seeds of each (held, probes, estimator)."""
    by: dict[tuple[str, int, str], list[float]] = {}
    for one in found:
        by.setdefault((one.held, one.probes, one.estimator), []).append(one.mape_pct)
    return {key: (min(errors), max(errors)) for key, errors in by.items()}


def spread_lines(spread: Spread) -> list[str]:
    """Return the spread of the mean error over seeds as lines of a Markdown table."""
    rows = [
        f"| {held} | {probes} | {by} | {low:.1f} - {high:.1f} |" for (held, probes, by), (low, high) in spread.items()
    ]
    return ["| never seen | probes | by | MAPE % over seeds |", "|---|---|---|---|", *rows] if rows else []


if __name__ == "__main__":
    sys.exit(main(configured(Config)))
