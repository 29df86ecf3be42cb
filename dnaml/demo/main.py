"""The whole main job on this machine: profile, collect, learn, place and run, lose a worker, report."""

import json as jsonlib
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from dnaml.client import Executor
from dnaml.core.protocols import Policy, Predictor, Run
from dnaml.core.resource import Resource
from dnaml.demo import collect, compare, learn
from dnaml.demo.failover import Failover, lose_a_worker
from dnaml.demo.kernels import KERNELS, Kernel
from dnaml.demo.pool import EMULATION, local_pool
from dnaml.engine import EngineSettings
from dnaml.predict.measured import TablePredictor
from dnaml.predict.placing import LivePredictor
from dnaml.predict.runtime import RuntimePredictor
from dnaml.schedule.matching import MatchingPolicy
from dnaml.schedule.planning import ControllerSettings
from dnaml.schedule.policies import by_name
from dnaml.telemetry.profile import probe_score, profile_resource

T = TypeVar("T")

PRICE_OF_SCORE_1_USD_PER_H = 1.0
SIMPLE = ("random", "round_robin", "cheapest", "highest_clock")
DNAML, ORACLE, SEED_MATCHER = "dnaml", "oracle", "seed_matcher"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How much the demo does: the default is the whole of it, in at most four minutes on two cores."""

    kernels: tuple[Kernel, ...] = tuple(KERNELS.values())
    members: int = 5
    repeats: int = 2
    folds: int = 4
    judged_folds: int = 1  # each is a fit of its own
    per_kernel: int = 4
    never_run_share: float = 1 / 3


@dataclass(slots=True, kw_only=True)
class Findings:
    """Everything the demo found out, for the report."""

    seed: int
    scale: Scale
    resources: tuple[Resource, ...]
    runs: list[Run] = field(default_factory=list)
    held_back: learn.Quality | None = None
    never_run: learn.Quality | None = None
    left_out: str = ""
    zero_shot: learn.Quality | None = None
    policies: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    ran: dict[str, dict[str, compare.Ran]] = field(default_factory=dict)
    failover: Failover | None = None
    example: compare.Ran | None = None
    elapsed_s: dict[str, float] = field(default_factory=dict)


class Stage:
    """Says which stage runs and how long it took; progress goes to stderr, results to stdout."""

    def __init__(self, console: Console, progress: Progress, findings_s: dict[str, float]) -> None:
        self.console, self.progress, self._elapsed_s = console, progress, findings_s

    def run(self, title: str, steps: Iterable[T], total: int) -> list[T]:
        """Work through steps under a progress bar and return what they yielded."""
        since_s = time.monotonic()
        task = self.progress.add_task(title, total=total)
        done: list[T] = []
        for step in steps:
            done.append(step)
            self.progress.advance(task)
        self.progress.update(task, completed=total)
        self._elapsed_s[title] = self._elapsed_s.get(title, 0.0) + time.monotonic() - since_s
        return done


WHOLE = Scale()


def run(*, seed: int = 0, out: Path = Path("demo-report"), json: bool = False, scale: Scale = WHOLE) -> int:
    """Run the demo, write the report into `out`, print tables (or JSON); return the exit code."""
    console = Console(quiet=json)
    findings = Findings(seed=seed, scale=scale, resources=())
    with (
        tempfile.TemporaryDirectory(prefix="dnaml-demo-") as state,
        Progress(console=Console(stderr=True), transient=True) as progress,
    ):
        stage = Stage(console, progress, findings.elapsed_s)
        findings.resources = _profile(stage, scale.members)
        with Executor(findings.resources, state=state, seed=seed, settings=_settings()) as executor:
            model = _collect_and_learn(executor, findings, stage)
            _compare(executor, findings, model, stage)
            _fail(executor, findings, stage)
    from dnaml.demo.report import summary, write

    write(findings, out)
    if json:
        print(jsonlib.dumps(summary(findings)))
    else:
        console.print(f"\nReport: [bold]{out / 'index.html'}[/bold]  Runs: {out / 'runs.parquet'}")
        console.print("Next: dnaml probe, then dnaml submit JOB; or see README for the Python executor.")
    return 0


def _settings() -> EngineSettings:
    return EngineSettings(controller=ControllerSettings(own_clocks=True, window_jobs=1024))


def _profile(stage: Stage, members: int) -> tuple[Resource, ...]:
    pool = local_pool()[:members]
    profiled = stage.run("profiling resources", (profile_resource(member) for member in pool), len(pool))
    resources = tuple(_priced(resource) for resource in profiled)
    stage.console.print(EMULATION)
    stage.console.print(dna_table(resources))
    return resources


def _priced(resource: Resource) -> Resource:
    """Set the price by the demo's one rule: proportional to the geometric mean of the probe scores."""
    return replace(resource, price_usd_per_h=PRICE_OF_SCORE_1_USD_PER_H * probe_score(resource), price_date="demo rule")


def dna_table(resources: Sequence[Resource]) -> Table:
    """Return the interpretable slots of each resource's DNA as a table; "-" where unknown."""
    from dnaml.dna.space import SLOTS, resource_dna

    table = Table(title="Resource DNA (slots 0-15, each in [0, 1])")
    table.add_column("slot")
    vectors = [resource_dna(resource).vector for resource in resources]
    for resource in resources:
        table.add_column(resource.id, justify="right")
    for index, slot in enumerate(SLOTS):
        values = [f"{vector[index]:.3f}" if vector[index] == vector[index] else "-" for vector in vectors]
        table.add_row(slot, *values)
    table.add_row("price USD/h", *(f"{resource.price_usd_per_h or 0.0:.4f}" for resource in resources))
    return table


def _collect_and_learn(executor: Executor, findings: Findings, stage: Stage) -> RuntimePredictor:
    stage.run("warming workers", collect.warm(executor), len(executor.resources))
    cells = collect.cells_of(findings.scale.kernels, executor.resources)
    never = collect.hold_back(cells, findings.scale.never_run_share, seed=findings.seed)
    seen = [cell for cell in cells if cell not in never]
    futures = stage.run(
        "collecting telemetry",
        collect.run_cells(executor, seen, repeats=findings.scale.repeats, seed=findings.seed),
        len(seen) * findings.scale.repeats,
    )
    runs = collect.runs_of(executor, futures)
    held = stage.run(
        "learning, a part held back",
        learn.folds_of(runs, findings.scale.folds, judged=findings.scale.judged_folds, seed=findings.seed),
        findings.scale.judged_folds,
    )
    findings.held_back = learn.quality_of(*(np.concatenate(side) for side in zip(*held, strict=True)))
    stage.console.print(_quality_line("held-back runs", findings.held_back))
    findings.runs = runs
    _foretell_unknown(findings, stage)
    (model,) = stage.run("learning from all", (learn.fit(runs, seed=findings.seed) for _ in range(1)), 1)
    return model


def _foretell_unknown(findings: Findings, stage: Stage) -> None:
    """Leave one drawn resource out entirely, and judge what its probes and description alone tell of its runs."""
    drawn = np.random.default_rng(findings.seed + 4).integers(len(findings.resources))
    findings.left_out = findings.resources[int(drawn)].id
    (findings.zero_shot,) = stage.run(
        "learning without one resource",
        (learn.zero_shot(findings.runs, findings.left_out, seed=findings.seed) for _ in range(1)),
        1,
    )
    what = f"runs on {findings.left_out}, by a model that saw no run on it"
    stage.console.print(_quality_line(what, findings.zero_shot))


def _compare(executor: Executor, findings: Findings, model: RuntimePredictor, stage: Stage) -> None:
    """Run the batch under every policy twice, before and after the missing cells are measured; figures are means.

    The machine's speed drifts: two passes apart in time, with the oracle around the second, spread it over all.
    """
    batch = compare.draw_batch(findings.scale.kernels, per_kernel=findings.scale.per_kernel, seed=findings.seed + 2)
    series = Series(executor, batch, stage)
    predictor = LivePredictor(model=model)
    _place_by_all(series, predictor)
    never_run = _measure_missing(executor, findings, model, stage)
    truth = _truth(executor)
    series.place(ORACLE, MatchingPolicy(), truth, compare.PRESETS)
    _place_by_all(series, predictor)
    series.place(ORACLE, MatchingPolicy(), truth, compare.PRESETS)
    references = compare.references_of(batch, executor.resources, _truth(executor))
    findings.ran = {preset: {name: made[0] for name, made in by.items()} for preset, by in series.ran.items()}
    findings.runs = findings.runs + never_run
    findings.policies = {
        preset: {name: compare.mean_figures(made, preset, references) for name, made in by.items()}
        for preset, by in series.ran.items()
    }
    findings.example = findings.ran["balanced"][DNAML]
    for preset in compare.PRESETS:
        stage.console.print(policy_table(preset, findings.policies[preset]))
    stage.console.print(findings.example.first.decision.explain().to_string())


class Series:
    """The runs of one batch: `ran` holds for each preset and policy what its passes made of it."""

    def __init__(self, executor: Executor, batch: Sequence[compare.Item], stage: Stage) -> None:
        self.ran: dict[str, dict[str, list[compare.Ran]]] = {preset: {} for preset in compare.PRESETS}
        self._executor, self._batch, self._stage = executor, batch, stage

    def place(self, label: str, policy: Policy, predictor: Predictor, presets: Sequence[str]) -> None:
        """Run the batch under a policy, once for each preset; the last run stands for presets it does not look at."""

        def made() -> Iterable[compare.Ran]:
            for preset in presets:
                yield compare.run_batch(
                    self._executor, self._batch, label=label, policy=policy, predictor=predictor, objective=preset
                )

        found = self._stage.run(f"placing by {label}", made(), len(presets))
        for position, preset in enumerate(compare.PRESETS):
            self.ran[preset].setdefault(label, []).append(found[min(position, len(found) - 1)])


def _place_by_all(series: Series, predictor: Predictor) -> None:
    """Run the batch under dnaml and every policy it is compared with."""
    series.place(DNAML, MatchingPolicy(), predictor, compare.PRESETS)
    for name in SIMPLE:  # these do not look at the objective
        series.place(name, by_name(name), predictor, compare.PRESETS[:1])
    series.place(SEED_MATCHER, by_name(SEED_MATCHER), predictor, compare.PRESETS)


def _measure_missing(executor: Executor, findings: Findings, model: RuntimePredictor, stage: Stage) -> list[Run]:
    """Run the cells that were never run, and judge what the model had said of them."""
    known = {(run.computation.id, run.resource.id) for run in findings.runs}
    missing = [cell for cell in collect.cells_of(findings.scale.kernels, executor.resources) if cell.pair not in known]
    futures = stage.run(
        "measuring the cells never run",
        collect.run_cells(executor, missing, repeats=findings.scale.repeats, seed=findings.seed + 3),
        len(missing) * findings.scale.repeats,
    )
    never_run = collect.runs_of(executor, futures)
    findings.never_run = learn.judge(model, never_run)
    stage.console.print(_quality_line("cells never run before the batch", findings.never_run))
    return never_run


def _truth(executor: Executor) -> TablePredictor:
    """Return the medians of all measured runtimes."""
    return TablePredictor.from_runs([run for run in _all_runs(executor) if not run.censored])


def _all_runs(executor: Executor) -> list[Run]:
    from dnaml.history import History

    return History.read(executor.state).runs()


def policy_table(preset: str, rows: dict[str, dict[str, float]]) -> Table:
    """Return what each policy reached under a preset, with the ratio of dnaml's objective to it."""
    table = Table(title=f"{preset}: the same batch under every policy, means of two passes (times on own clocks)")
    for column in ("policy", "mean JCT s", "makespan s", "USD", "objective", "dnaml / it", "wall s"):
        table.add_column(column, justify="left" if column == "policy" else "right")
    own = rows[DNAML]["objective"]
    for name, row in sorted(rows.items(), key=lambda item: item[1]["objective"]):
        table.add_row(
            name,
            f"{row['mean_jct_s']:.3f}",
            f"{row['makespan_s']:.3f}",
            f"{row['cost_usd']:.5f}",
            f"{row['objective']:.3f}",
            f"{own / row['objective']:.3f}",
            f"{row['wall_s']:.1f}",
        )
    return table


def _fail(executor: Executor, findings: Findings, stage: Stage) -> None:
    def steps() -> Iterable[Failover]:
        yield lose_a_worker(executor, seed=findings.seed)

    executor.configure(objective="balanced", policy=MatchingPolicy())
    (shown,) = stage.run("losing a worker", steps(), 1)
    findings.failover = shown
    stage.console.print(
        f"Killed the worker of {shown.killed}: noticed after {shown.detect_s * 1000:.0f} ms, "
        f"resumed on {shown.went_on} at {shown.resumed_at:.0%} from its checkpoint, {shown.redone_s:.2f} s redone, "
        f"{shown.lost} lost, {shown.duplicated} committed twice."
    )


def _quality_line(what: str, quality: learn.Quality) -> str:
    return (
        f"Prediction on {quality.runs} {what}: median error {quality.mdape:.1f} %, "
        f"p10-p90 covers {quality.cover80:.1f} %, Spearman {quality.spearman:.3f}"
    )
