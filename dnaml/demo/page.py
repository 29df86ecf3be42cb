"""The demo's report as a page: what was emulated, the resources, how predictions and policies did, what was lost.

Every sentence with a figure in it is made from the findings, so it says what this run showed, good or bad.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from dnaml.core.errors import InputError
from dnaml.demo.document import Html, barred, code, element, figure, joined, listing, page, section, shaded, table
from dnaml.demo.main import PRICE_OF_SCORE_1_USD_PER_H
from dnaml.demo.plots import drawing, timeline
from dnaml.demo.pool import EMULATION
from dnaml.demo.results import policies_section, prediction_section, verdict
from dnaml.dna.space import SLOTS, resource_dna
from dnaml.futures import reasons

if TYPE_CHECKING:
    from dnaml.core.resource import Resource
    from dnaml.demo.compare import Ran
    from dnaml.demo.failover import Failover
    from dnaml.demo.learn import Quality
    from dnaml.demo.main import Findings

T = TypeVar("T")

TITLE = "dnaml demo: the main job on this machine"
PRICE_RULE = (
    f"Prices follow one rule and are no market prices: {PRICE_OF_SCORE_1_USD_PER_H:g} USD per hour times the geometric"
    " mean of the resource's probe scores, so that no resource is a bargain on average."
)
CLOCKS = (
    "The resources share the cores of one machine, so a run's time is the CPU time of its process tree plus the time"
    " it was blocked, and each resource's queue advances by it: completion times, makespan and cost are times on the"
    " resources' own clocks. The wall time of each batch stands beside."
)
NO_DIFFERENCE, FAR_BEHIND = 0.005, 0.1
"""on a DNA axis: a row that differs less is not shaded, nor is a cell that far below the best of its row"""


def reached(value: T | None, stage: str) -> T:
    """Return what a stage of the demo found; raise InputError when the demo never came that far."""
    if value is None:
        raise InputError(f"findings: {stage} must be known before the report is written, got None")
    return value


def page_of(findings: "Findings") -> str:
    """Return the report of complete findings; raise InputError when a stage is missing."""
    held_back, never_run = reached(findings.held_back, "held_back"), reached(findings.never_run, "never_run")
    zero_shot = reached(findings.zero_shot, "zero_shot")
    shown = reached(findings.failover, "failover")
    return page(
        TITLE,
        element("p", f"Seed {findings.seed}; the run table beside this page holds {len(findings.runs)} measured runs."),
        section("short", "In short", _in_short(findings, held_back, never_run, shown)),
        section("real", "What is real, what is emulated", *(element("p", s) for s in (EMULATION, PRICE_RULE, CLOCKS))),
        _resources(findings.resources),
        prediction_section(held_back, never_run, zero_shot, findings.left_out),
        policies_section(findings.policies, findings.ran),
        _decision(reached(findings.example, "example")),
        _failover(shown),
        _elapsed(findings.elapsed_s),
        _next(),
    )


def _in_short(findings: "Findings", held_back: "Quality", never_run: "Quality", shown: "Failover") -> Html:
    return listing(
        [
            *(joined(element("strong", f"{name}: "), verdict(rows)) for name, rows in findings.policies.items()),
            f"Predictions are off by {held_back.mdape:.1f} % in the median on held-back runs, and by"
            f" {never_run.mdape:.1f} % where a computation had never run on the resource.",
            _of_unknown(reached(findings.zero_shot, "zero_shot"), findings.left_out),
            f"A killed worker was noticed after {shown.detect_s * 1000:.3g} ms; {_losses(shown)}.",
        ]
    )


def _of_unknown(zero_shot: "Quality", left_out: str) -> str:
    return (
        f"On a resource on which nothing had run ({left_out}), predictions from its probes and description alone are"
        f" off by {zero_shot.mdape:.1f} % in the median, with {zero_shot.cover80:.1f} % of runs inside p10-p90."
    )


def _resources(resources: "Sequence[Resource]") -> Html:
    rows = [
        (each.id, "unknown" if each.price_usd_per_h is None else f"{each.price_usd_per_h:.4f}", each.description)
        for each in resources
    ]
    return section(
        "resources",
        "Resources",
        table("Prices by the rule above.", ("resource", "price (USD/h)", "what it is"), rows, words=(2,)),
        element("h3", "Their DNA"),
        _heat_map(resources),
    )


def _heat_map(resources: "Sequence[Resource]") -> Html:
    """Return the interpretable DNA slots by resource; the shade says how near a cell is to the best of its row."""
    dnas = [resource_dna(resource) for resource in resources]
    rows = [(slot, *_heat_cells([float(dna.vector[index]) for dna in dnas])) for index, slot in enumerate(SLOTS)]
    caption = (
        f"DNA heat map ({', '.join(sorted({dna.version for dna in dnas}))}): how much of each axis a resource supplies,"
        " from 0 to 1 on a fixed logarithmic scale; more is better (cheap and quick count as much). The best cell of a"
        f" row is the darkest, {FAR_BEHIND:g} below it there is no shade; rows that differ by less than"
        f" {NO_DIFFERENCE:g} have none. A dash is unknown."
    )
    return table(caption, ("axis", *(resource.id for resource in resources)), rows)


def _heat_cells(values: Sequence[float]) -> list[Html]:
    known = [value for value in values if math.isfinite(value)]
    best = max(known, default=0.0)
    differs = best - min(known, default=0.0) >= NO_DIFFERENCE
    return [
        shaded(f"{value:.3f}", 1 - (best - value) / FAR_BEHIND if differs else 0.0)
        if math.isfinite(value)
        else shaded("–", 0.0)
        for value in values
    ]


def _decision(example: "Ran") -> Html:
    """Return the first decision of a batch, candidate by candidate."""
    record = example.first.decision.record
    whys = reasons(record)
    rows = [
        (
            _highlighted(record.resource_ids[i], record.resource_ids[i] == record.chosen),
            f"{record.runtime_p10_s[i]:.3g}",
            f"{record.runtime_p50_s[i]:.3g}",
            f"{record.runtime_p90_s[i]:.3g}",
            f"{record.wait_s[i]:.3g}",
            f"{record.cost_usd[i] * 1e6:.3g}" if math.isfinite(record.cost_usd[i]) else "unknown",
            f"{record.risk[i]:.2g}",
            f"{record.score[i]:.3g}",
            whys[i],
        )
        for i in sorted(range(len(record.resource_ids)), key=record.score.__getitem__)
    ]
    said = (
        f"Why job {record.job_id} went to {record.chosen}, by policy {record.policy} with predictions of {record.path}:"
    )
    header = ("candidate", "p10 (s)", "median (s)", "p90 (s)", "wait (s)", "cost (millionths of a USD)", "risk")
    return section(
        "decision",
        "One decision, explained",
        element("p", said),
        table(
            "Every candidate at the moment of planning, best score first.", (*header, "score", "why"), rows, words=(8,)
        ),
    )


def _highlighted(name: str, chosen: bool) -> str:
    return element("strong", name) if chosen else name


def _losses(shown: "Failover") -> str:
    return f"{shown.lost} results lost, {shown.duplicated} committed twice"


def _failover(shown: "Failover") -> Html:
    told = (
        f"The worker of {shown.killed} was killed by SIGKILL in the middle of a training. It was noticed after"
        f" {shown.detect_s * 1000:.3g} ms; the training went on on {shown.went_on} from its newest checkpoint, at"
        f" {100 * shown.resumed_at:.0f} % of the work, so {shown.redone_s:.3g} s of work were done again:"
        f" {_losses(shown)}."
    )
    drawn = drawing(timeline(shown), name="failover", alt=f"Timeline in seconds from the kill. {told}")
    return section("failover", "A worker lost", element("p", told), figure(drawn, "Wall time around the kill."))


def _elapsed(elapsed_s: Mapping[str, float]) -> Html:
    longest_s, total_s = max(elapsed_s.values(), default=1.0), sum(elapsed_s.values())
    rows = [(stage, barred(f"{spent_s:.1f}", spent_s / longest_s)) for stage, spent_s in elapsed_s.items()]
    return section(
        "elapsed",
        "Where the time went",
        table(
            "Wall time of each stage.", ("stage", "seconds"), [*rows, (element("strong", "together"), f"{total_s:.1f}")]
        ),
    )


def _next() -> Html:
    steps = {
        "dnaml check": "looks at this installation and machine, and says what is missing",
        "dnaml probe": "measures this machine and keeps the profile for your own jobs",
        "dnaml submit JOB.yaml": "runs a job where it is predicted to do best, and waits for it",
        "dnaml explain ID": "shows each candidate's time, cost and risk, and why it lost",
        "dnaml repeat ID": "runs a recorded job again from its initial state and compares",
    }
    files = joined(
        "Beside this page lie ",
        code("summary.json"),
        " (what ",
        code("dnaml demo --json"),
        " prints) and ",
        code("runs.parquet"),
        " (every run: ",
        code('pandas.read_parquet("runs.parquet")'),
        ").",
    )
    return section(
        "next",
        "What to type next",
        listing([joined(code(command), " ", meaning) for command, meaning in steps.items()], ordered=True),
        element("p", "From Python, ", code("dnaml.Executor"), " is a ", code("concurrent.futures.Executor"), "."),
        element("p", files),
    )
