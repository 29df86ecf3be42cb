"""The two parts of the demo's report that judge: how predictions met the clock, and what each policy reached."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from dnaml.demo import plots
from dnaml.demo.document import Html, element, figure, joined, section, shaded, table
from dnaml.demo.main import DNAML, ORACLE

if TYPE_CHECKING:
    from dnaml.demo.compare import Ran
    from dnaml.demo.learn import Quality

Row = Mapping[str, float]
"""what one policy reached, by the names of `--json`"""


def prediction_section(held_back: "Quality", never_run: "Quality", zero_shot: "Quality", left_out: str) -> Html:
    """Return error, coverage and order of the predictions, with calibration and scatter plots."""
    qualities = {"held-back runs": held_back, "cells never run": never_run}
    judged = {**qualities, f"{left_out}, on which nothing ran": zero_shot}
    said = (
        "Each held-back run is judged by a model that learnt without it. The cells never run (a cell is one kernel at"
        " one size on one resource) were measured after learning, and are judged by the model that placed the batch."
        f" The last row is a third model's: it learnt from no run on {left_out} and knows its probes and description."
    )
    rows = [
        (label, str(q.runs), f"{q.mdape:.1f}", f"{q.cover80:.1f}", f"{q.spearman:.3f}") for label, q in judged.items()
    ]
    header = ("judged on", "runs", "median error (%)", "inside p10-p90 (%)", "Spearman")
    return section(
        "prediction",
        "Prediction",
        element("p", said),
        table("How predictions met measured runtimes; 80 % inside p10-p90 is what is stated.", header, rows),
        element("div", _calibration(qualities), _scatter(qualities), class_="plots"),
    )


def _calibration(qualities: "Mapping[str, Quality]") -> Html:
    met = "; ".join(
        f"{label}: "
        + ", ".join(f"{100 * stated:.0f} % stated, {100 * share:.0f} % met" for stated, share in quality.calibration)
        for label, quality in qualities.items()
    )
    return figure(
        plots.drawing(plots.calibration(qualities), name="calibration", alt=f"Calibration plot. {met}."),
        "Calibration: the share of the runs that took at most the stated quantile. On the dashed line what is said is"
        " what happens; below it, runs took longer than said.",
    )


def _scatter(qualities: "Mapping[str, Quality]") -> Html:
    low_s, high_s = plots.range_s(qualities.values())
    near = "; ".join(f"{label}: {_within_quarter(quality)}" for label, quality in qualities.items())
    return figure(
        plots.drawing(
            plots.scatter(qualities),
            name="scatter",
            alt=f"Predicted against measured runtime on logarithmic axes from {low_s:.2g} to {high_s:.2g} s. {near}.",
        ),
        "Predicted median against measured runtime, one mark a run, on the resources' own clocks.",
    )


def _within_quarter(quality: "Quality") -> str:
    close = np.abs(quality.predicted_s / quality.truth_s - 1) <= 0.25
    return f"{int(close.sum())} of {quality.runs} predictions within 25 %"


# -- policies ----------------------------------------------------------------------------------------------------------


def policies_section(policies: Mapping[str, Mapping[str, Row]], ran: "Mapping[str, Mapping[str, Ran]]") -> Html:
    """Return for each preset the objective of every policy as bars and in a table, then where the work went."""
    jobs = max((len(made.jct_s) for by_policy in ran.values() for made in by_policy.values()), default=0)
    said = (
        f"The same {jobs} computations were really run under every policy, whole batch after whole batch. The objective"
        " is the mean completion time and the mean cost, each divided by the least that the batch could reach on"
        " measured runtimes, weighed as the preset says; lower is better. The oracle knows the medians of all measured"
        " runtimes and uses the same optimiser as dnaml."
    )
    return section(
        "policies",
        "The same batch under every policy",
        element("p", said),
        _run_once(ran),
        *(_preset(preset, rows) for preset, rows in policies.items()),
        element("h3", "Which resource each policy used"),
        *(_used(preset, made) for preset, made in ran.items()),
    )


def _run_once(ran: "Mapping[str, Mapping[str, Ran]]") -> Html:
    """Say which policies ran once for all presets, because they do not look at the objective."""
    first, *others = ran.values()
    names = [name for name, made in first.items() if others and all(other.get(name) is made for other in others)]
    if not names:
        return Html("")
    return element(
        "p",
        f"These do not look at the objective, so one run of a pass serves all: {', '.join(names)}.",
    )


def verdict(rows: Mapping[str, Row]) -> str:
    """Return in one sentence how dnaml's objective stands to the best and the mean of the others, and the oracle."""
    own = rows[DNAML]["objective"]
    others = {name: row["objective"] for name, row in rows.items() if name not in (DNAML, ORACLE)}
    best = min(others, key=others.__getitem__)
    mean = sum(others.values()) / len(others)
    return (
        f"dnaml reaches {own / others[best]:.2f} × the objective of the best other policy ({best}),"
        f" {own / mean:.2f} × their mean and {own / rows[ORACLE]['objective']:.2f} × the oracle's."
    )


def _preset(preset: str, rows: Mapping[str, Row]) -> Html:
    """Return bars and table of one preset, best policy first."""
    own, oracle = rows[DNAML]["objective"], rows[ORACLE]["objective"]
    bars = [
        plots.Bar(
            policy=name,
            objective=row["objective"],
            to_dnaml=row["objective"] / own,
            to_oracle=row["objective"] / oracle,
            own=name == DNAML,
        )
        for name, row in sorted(rows.items(), key=lambda item: item[1]["objective"])
    ]
    heights = ", ".join(f"{bar.policy} {bar.objective:.2f}" for bar in bars)
    drawn = plots.drawing(
        plots.bars(bars), name=f"bars-{preset}", alt=f"Objective of each policy under {preset}: {heights}."
    )
    return joined(
        element("h3", preset),
        element("p", verdict(rows)),
        figure(drawn, f"Objective under {preset}, bars from zero; beside it, divided by dnaml's and by the oracle's."),
        _figures(preset, bars, rows),
    )


def _figures(preset: str, bars: list[plots.Bar], rows: Mapping[str, Row]) -> Html:
    header = (
        "policy",
        "mean completion (s)",
        "makespan (s)",
        "cost (thousandths of a USD)",
        "objective",
        "÷ dnaml",
        "÷ oracle",
        "wall time (s)",
    )
    cells = [
        (
            element("strong", bar.policy) if bar.own else bar.policy,
            f"{rows[bar.policy]['mean_jct_s']:.3f}",
            f"{rows[bar.policy]['makespan_s']:.3f}",
            f"{rows[bar.policy]['cost_usd'] * 1e3:.3f}",
            f"{bar.objective:.3f}",
            f"{bar.to_dnaml:.2f}",
            f"{bar.to_oracle:.2f}",
            f"{rows[bar.policy]['wall_s']:.1f}",
        )
        for bar in bars
    ]
    return table(f"{preset}: times on the resources' own clocks, wall time of the batch beside.", header, cells)


def _used(preset: str, made: "Mapping[str, Ran]") -> Html:
    """Return how many attempts each policy ran on each resource, shaded by their share."""
    resource_ids = sorted({resource_id for ran in made.values() for resource_id in ran.used})
    rows = []
    for name, ran in made.items():
        total = max(sum(ran.used.values()), 1)
        counts = [ran.used.get(resource_id, 0) for resource_id in resource_ids]
        rows.append(
            (
                element("strong", name) if name == DNAML else name,
                *(shaded(str(count), count / total) for count in counts),
            )
        )
    return table(f"Attempts on each resource under {preset}.", ("policy", *resource_ids), rows)
