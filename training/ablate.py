"""Ablates the predictor: what each part of it and of its input is worth, by leaving it out, on several tables.

    python -m training.ablate                      # every table, three seeds; hours
    python -m training.ablate --quick              # two tables of few rows, one seed; about ten minutes
    python -m training.ablate --tables own --seeds 0 --only telemetry descriptors

A part of the model itself is left out after the fit, which all such rows share; a part of the input before it.
"""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress

from benchmarks.prediction.clouds import machine_runs
from benchmarks.prediction.clusters import context_runs
from benchmarks.prediction.devices import edge_runs
from benchmarks.prediction.tasks import data_folder
from dnaml.core.errors import InputError
from dnaml.datasets.shipped import telemetry_table
from dnaml.datasets.table import RunTable, load_runs
from dnaml.predict.evaluation import Answers, Fit, Held, Plan, Score, answers, scores
from dnaml.predict.recipe import OWN, Recipe, contenders
from dnaml.predict.runtime import RuntimePredictor
from dnaml.predict.varied import (
    EXPERTS,
    Change,
    alone,
    equal_weights,
    plain_gaussian,
    unlearned_weights,
    varied,
    without,
)
from training.configured import commit, configured

MOST_FITTED = 4  # kept for the rows that share them


@dataclass(frozen=True)
class Config:
    """Fits the predictor again and again, each time without one of its parts, and writes one table."""

    tables: tuple[str, ...] = ("own", "clouds", "clusters", "edge")
    """own, or a public one: clouds, clusters, edge (see benchmarks/prediction); or the path of a run table"""
    only: tuple[str, ...] = ()
    """names of ablations; empty: all that the predictor allows"""
    held: tuple[str, ...] = ("resource", "family", "cell", "both")
    """what is held back, each in its turn"""
    probes: tuple[int, ...] = (0, 1, 3, 10, 30)
    """runs of each new thing that are then given"""
    rows: int = 3000
    """most rows of a table; of a larger one whole resources are drawn"""
    folds: int = 3
    """folds of each"""
    seeds: tuple[int, ...] = (0, 1, 2)
    """of the draw, folds, probes and fits"""
    out: str = "docs/ablation.md"
    """the page to write"""
    quick: bool = False
    """ask two tables of few rows under one seed, whatever else is said"""


QUICK: dict[str, Any] = {
    "tables": ("own", "clusters"),
    "held": ("resource", "family"),
    "probes": (0, 3),
    "rows": 300,
    "folds": 2,
    "seeds": (0,),
}


@dataclass(frozen=True)
class Ablation:
    """One change: its name, what it leaves out, the recipe that does, and what is then done to the fitted model."""

    name: str
    what: str
    recipe: Recipe
    change: Change | None = None


def main(config: Config) -> int:
    """Run every ablation on every table and write the page."""
    if config.quick:
        config = replace(config, **QUICK)
    command = shlex.join(["python", "-m", "training.ablate", *sys.argv[1:]])
    parts = [HEAD.format(command=command, commit=commit(), seeds=", ".join(map(str, config.seeds)), folds=config.folds)]
    chosen = [one for one in ablations() if not config.only or one.name in (*config.only, WHOLE)]
    for name in config.tables:
        try:
            whole = table_of(name)
        except (InputError, OSError) as error:
            print(f"{name}: left out: {error}", file=sys.stderr)
            continue
        found = {seed: judged(some_of(whole, config.rows, seed), chosen, config, seed, name) for seed in config.seeds}
        parts += part(name, whole, chosen, found)
    Path(config.out).write_text("\n".join(parts))
    print(f"written: {config.out}")
    return 0


# -- what is ablated ---------------------------------------------------------------------------------------------------

WHOLE = "nothing"


def ablations() -> list[Ablation]:
    """Return all ablations: of the input and of the way of training, which are fitted anew, and of the fitted model."""
    base = Recipe()
    said: list[tuple[str, str, Change]] = [
        (f"no {one}", f"without the expert `{one}`", without(one)) for one in EXPERTS
    ]
    said += [(f"{one} alone", f"the expert `{one}` alone", alone(one)) for one in EXPERTS]
    said += [
        ("no latents", "without the three latent models", without("latent-low", "latent", "latent-high")),
        ("start weights", "experts weighed as before any replay", unlearned_weights),
        ("equal weights", "experts weighed alike", equal_weights),
        ("gaussian", "intervals of the blend's own sd, nothing calibrated", plain_gaussian),
    ]
    return [
        Ablation(WHOLE, "the predictor as it is", base),
        Ablation("telemetry", "no `t_*` of the runs learned from", replace(base, drop=("t_*",))),
        Ablation("resource", "no `r_*`: resources are ids alone", replace(base, drop=("r_*",))),
        Ablation("computation", "no `c_*` and `s_*`", replace(base, drop=("c_*", "s_*"))),
        Ablation("descriptors", "ids alone on both sides", replace(base, drop=("r_*", "c_*", "s_*", "t_*"))),
        Ablation("copies", "with one faster or slower copy of each resource", replace(base, copies=1)),
        *(Ablation(name, what, base, change) for name, what, change in said),
    ]


def fits_of(chosen: Sequence[Ablation], seed: int) -> dict[str, Fit]:
    """Return how to fit each ablation; those that change the same fitted model share one fit of a table."""
    fitted: dict[tuple[Recipe, int], tuple[RunTable, RuntimePredictor]] = {}  # the table too: its identity stays taken

    def fit(one: Ablation, table: RunTable) -> RuntimePredictor:
        recipe = replace(one.recipe, seed=seed)
        key = (recipe, id(table))
        if key not in fitted:
            if len(fitted) > MOST_FITTED:
                fitted.clear()
            fitted[key] = (table, recipe.fit(table))
        model = fitted[key][1]
        return model if one.change is None else varied(model, one.change)

    return {one.name: partial(fit, one) for one in chosen}


# -- tables ------------------------------------------------------------------------------------------------------------


def table_of(name: str) -> RunTable:
    """Return a table by name, or of a file."""
    if name == "clouds":
        return load_runs(machine_runs(data_folder()))
    if name == "clusters":
        return load_runs(context_runs(data_folder()))
    if name == "edge":
        return load_runs(edge_runs(data_folder())[0])
    return load_runs(telemetry_table() if name == "own" else name)


def some_of(table: RunTable, rows: int, seed: int) -> RunTable:
    """Return whole resources of a table, drawn, until there are enough rows; all where it is small."""
    counts = table.frame["resource_id"].value_counts().sort_index()
    drawn = counts.iloc[np.random.default_rng(seed).permutation(len(counts))]
    kept = drawn.index[(drawn.cumsum() <= rows).to_numpy() | (np.arange(len(drawn)) < 2)]
    return table.rows(table.frame["resource_id"].isin(kept).to_numpy())


# -- judging and writing -----------------------------------------------------------------------------------------------


def judged(table: RunTable, chosen: Sequence[Ablation], config: Config, seed: int, title: str) -> list[Score]:
    """Return the scores of every ablation and of the simple predictors under one seed."""
    fits = fits_of(chosen, seed)
    fits |= {name: fit for name, fit in contenders(Recipe(seed=seed)).items() if name != OWN}
    plan = Plan(probes=config.probes, folds=config.folds, seed=seed)
    made: list[Answers] = []
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=None)
        for held in config.held:
            try:
                for one in answers(table, fits, replace(plan, held=(Held(held),))):
                    made.append(one)
                    progress.update(task, advance=1, description=f"{title}, seed {seed}: {held}, {one.estimator}")
            except InputError as error:
                print(f"{title}: {error}", file=sys.stderr)
    return scores(made)


FIGURES = (("Mean error, %", "mape_pct"), ("Median error, %", "mdape_pct"), ("In p10-p90, %", "inside_pct"))


def part(name: str, table: RunTable, chosen: Sequence[Ablation], found: dict[int, list[Score]]) -> list[str]:
    """Return the part of the page about one table: errors, then coverage."""
    by: dict[tuple[str, int, str], list[Score]] = {}
    for score in (score for each in found.values() for score in each):
        by.setdefault((score.held, score.probes, score.estimator), []).append(score)
    columns = list(dict.fromkeys((held, probes) for held, probes, _ in by))
    head = ["new pair" if held == "cell" else f"new {held}, {probes} probes" for held, probes in columns]
    said = {one.name: one.what for one in chosen}
    lines = [f"## {name}: {len(table)} runs on {table.frame['resource_id'].nunique()} resources", ""]
    for title, figure in FIGURES:
        lines += [f"{title} (mean over seeds, in brackets the least and the most)", ""]
        lines += [f"| changed | {' | '.join(head)} |", "|---" * (len(head) + 1) + "|"]
        for who in dict.fromkeys(estimator for _, _, estimator in by):
            scored = [by.get((held, probes, who), []) for held, probes in columns]
            cells = [_cell([getattr(score, figure) for score in one]) for one in scored]
            lines.append(f"| {said.get(who, f'instead: {who}')} | {' | '.join(cells)} |")
        lines.append("")
    return lines


def _cell(values: Sequence[float]) -> str:
    if not values:
        return "-"
    spread = f" ({min(values):.1f}-{max(values):.1f})" if len(values) > 1 else ""
    return f"{np.mean(values):.1f}{spread}"


HEAD = """# Ablations

What each part of the predictor and of its input is worth: everything else as it is, one part left out. Rows in which
a part does not pay stay, and so do those in which a simple predictor is better. Seeds {seeds}, {folds} folds, commit
{commit}, written by

```sh
{command}
```

Whole resources, kernels (families of computations), pairs, or both sides are kept from training; `probes` runs of each
new one are then given, drawn at random, the same for every row. Rows that say "instead" are the simple predictors.
An expert that a table cannot carry (no net on few entities, no scale-out curve without a scale-out) changes nothing
there. How probes are chosen (random or A-optimal), how vectors rank beside the whole model, how plans fare on
predictions, and how drift is noticed are compared where they are measured, see [benchmarks](benchmarks.md).
"""

if __name__ == "__main__":
    sys.exit(main(configured(Config)))
