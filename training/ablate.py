"""Ablates the predictor: what each part of it and of its input is worth, by leaving it out, on several tables.

    python -m training.ablate                      # writes docs/ablation.md; hours
    python -m training.ablate --quick              # a small part of it in minutes
    python -m training.ablate --tables own --seeds 0 --only telemetry descriptors

What is a part of the model itself is read from its settings: every switch is turned, every choice tried.
"""

import dataclasses
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from importlib import import_module
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
from training.configured import commit, configured

SETTINGS = "dnaml.predict.paired.settings"


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
    """One change: its name, what it leaves out, and the recipe that does."""

    name: str
    what: str
    recipe: Recipe


def main(config: Config) -> int:
    """Run every ablation on every table and write the page."""
    if config.quick:
        config = replace(config, **QUICK)
    parts = [HEAD.format(commit=commit(), seeds=", ".join(map(str, config.seeds)), folds=config.folds)]
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
    """Return all ablations: of the input, of the way of training, and of the model where its settings allow."""
    base = Recipe()
    found = [
        Ablation(WHOLE, "the predictor as it is", base),
        Ablation("telemetry", "no `t_*` of the runs learned from", replace(base, drop=("t_*",))),
        Ablation("resource", "no `r_*`: resources are ids alone", replace(base, drop=("r_*",))),
        Ablation("computation", "no `c_*` and `s_*`", replace(base, drop=("c_*", "s_*"))),
        Ablation("descriptors", "ids alone on both sides", replace(base, drop=("r_*", "c_*", "s_*", "t_*"))),
        Ablation("copies", "with one faster or slower copy of each resource", replace(base, copies=1)),
    ]
    return [*found, *(Ablation(name, what, replace(base, settings=one)) for name, what, one in settings())]


def settings() -> Iterator[tuple[str, str, object]]:
    """Yield (name, what, settings) with one switch turned or one choice changed; none where there are no settings."""
    try:
        module = import_module(SETTINGS)
    except ModuleNotFoundError:
        return
    kinds = [one for one in vars(module).values() if isinstance(one, type) and one.__module__ == SETTINGS]
    default = next(kind() for kind in kinds if dataclasses.is_dataclass(kind))
    for field in dataclasses.fields(default):
        now = getattr(default, field.name)
        others: Sequence[object] = ()
        if isinstance(now, bool):
            others = [not now]
        elif isinstance(now, Enum):
            others = [one for one in type(now) if one is not now]
        for other in others:
            said = other.name.lower() if isinstance(other, Enum) else str(other).lower()
            yield f"{field.name}={said}", f"`{field.name}` {said}", replace(default, **{field.name: other})


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
    fits: dict[str, Fit] = {one.name: replace(one.recipe, seed=seed).fit for one in chosen}
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

What each part of the predictor and of its input is worth: everything else as it is, one part left out. Written by
`python -m training.ablate` (commit {commit}, seeds {seeds}, {folds} folds); rows in which a part does not pay stay.
Whole resources, kernels (families of computations), pairs, or both sides are kept from training; `probes` runs of each
new one are then given, drawn at random, the same for every row. Rows that say "instead" are the simple predictors.
How probes are chosen and how drift is noticed are ablated where they are measured, see [benchmarks](benchmarks.md).
"""

if __name__ == "__main__":
    sys.exit(main(configured(Config)))
