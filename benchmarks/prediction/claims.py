"""What is claimed of the predictions, and the rows that say how far it holds.

The bar of a row is the floor that was asked; the aim stands in its note, beside the median over targets, each seed's
value, the peers of the same run and the figures quoted for others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.prediction.scores import CHOSEN, RANDOM, Score, mean_of, median_of
from benchmarks.prediction.search import REPORTED, Regrets
from benchmarks.prediction.studies import DNAML, Result
from benchmarks.report import Op, Row

# The quoted means of these claims are over so many of the targets, the first ones.
_QUOTED_TARGETS = {"P5.k3": 15, "P5.k10": 14, "P6.k3": 27, "P6.k10": 26}
_WORDS = {"mape": "mean error", "mdape": "median error", "spearman": "Spearman", "pooled": "median error"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One figure of one study. `quoted` are figures of others on the same task, by name; `bar` is the floor.

    `quoted_targets` says over how many targets, the first ones, the quoted figures are means; None for all of them.
    """

    id: str
    study: str
    task: str
    measure: str
    bar: float | None
    aim: float | None
    probe_count: int | None = None
    probing: str = RANDOM
    quoted: Mapping[str, float]
    quoted_targets: int | None = None

    @property
    def op(self) -> Op:
        """Return on which side of the bar a value must lie."""
        return Op.AT_LEAST if self.measure == "spearman" else Op.AT_MOST

    @property
    def unit(self) -> str:
        """Return the unit of the value."""
        return "" if self.measure == "spearman" else "%"

    def best(self, figures: Mapping[str, float]) -> tuple[str, float] | None:
        """Return the name and value of the best figure."""
        known = {name: value for name, value in figures.items() if np.isfinite(value)}
        if not known:
            return None
        pick = max if self.op is Op.AT_LEAST else min
        name = pick(known, key=known.__getitem__)
        return name, known[name]


def _claims(
    study: str,
    task: str,
    measure: str,
    figures: Sequence[tuple[str, int | None, float | None, float | None, tuple[str, float]]],
) -> list[Claim]:
    """Return claims of one study: id, count of probes, floor, aim, and the best figure measured for a peer before."""
    return [
        Claim(
            id=name,
            study=study,
            task=task,
            measure=measure,
            probe_count=count,
            bar=bar,
            aim=aim,
            quoted=dict([quoted]),
            quoted_targets=_QUOTED_TARGETS.get(name),
        )
        for name, count, bar, aim, quoted in figures
    ]


CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="P1",
        study="P1",
        task="NAS-Bench-201 on an unseen device, 10 probes",
        measure="spearman",
        bar=0.966,
        aim=0.970,
        quoted={"two towers": 0.958, "HELP, published, 20 probes": 0.932, "NASFLAT, published, 20 probes": 0.959},
    ),
    Claim(
        id="P2",
        study="P2",
        task="FBNet, GPUs to phones and a CPU, 20 probes",
        measure="spearman",
        bar=0.77,
        aim=0.80,
        quoted={
            "similarity process": 0.722,
            "NASFLAT, published": 0.734,
            "MultiPredict, published": 0.763,
            "HELP, published": 0.799,
        },
    ),
    *_claims(
        "P3",
        "WebAssembly on an unseen device",
        "mape",
        [
            ("P3.k1", 1, 18, 15, ("boosted trees", 34.2)),
            ("P3.k3", 3, 14, 10, ("nearest neighbours", 24.4)),
            ("P3.k10", 10, 7.5, 7, ("nearest neighbours", 8.3)),
        ],
    ),
    *(
        Claim(
            id=f"P3.k{count}.aopt",
            study="P3",
            task="WebAssembly on an unseen device, probes chosen A-optimally",
            measure="mape",
            bar=aim,
            aim=aim,
            probe_count=count,
            probing=CHOSEN,
            quoted={},
        )
        for count, aim in ((1, 13.0), (3, 8.0), (10, 7.0))
    ),
    Claim(
        id="P4",
        study="P4",
        task="WebAssembly, half of all cells known, the 16 platforms asked about kept out of the history",
        measure="mape",
        bar=5.2,
        aim=4.5,
        quoted={"two towers": 8.9, "Pitot, published": 5.2},
    ),
    *_claims(
        "P5",
        "big data on machines of an unseen cloud",
        "mape",
        [
            ("P5.k3", 3, 8.5, 7, ("scaling + boosted trees", 10.4)),
            ("P5.k10", 10, 6.3, 5.5, ("similarity process", 6.6)),
        ],
    ),
    *_claims(
        "P6",
        "unseen big-data application",
        "mape",
        [("P6.k3", 3, 8.2, 6.5, ("similarity process", 9.4)), ("P6.k10", 10, 5.0, 4.5, ("similarity process", 5.7))],
    ),
    *_claims(
        "P7.with",
        "one run of a new application, with telemetry",
        "pooled",
        [("P7.with", None, 4.6, 4, ("trees from the reference run", 5.1))],
    ),
    *_claims(
        "P7.without", "the same without telemetry", "pooled", [("P7.without", None, None, None, ("scaling", 6.8))]
    ),
    *_claims(
        "P9", "unseen application on 69 clusters, 6 probes", "mape", [("P9", None, 27, 22, ("boosted trees", 35.5))]
    ),
    *_claims(
        "P10",
        "Spark scale-out in an unseen context",
        "mape",
        [
            ("P10.k1", 1, 5.3, 4.5, ("boosted trees", 6.5)),
            ("P10.k2", 2, 4.1, 3.5, ("boosted trees", 5.0)),
            ("P10.k3", 3, 3.0, 2.7, ("boosted trees", 3.8)),
        ],
    ),
    *_claims(
        "P11",
        "language models on an unseen accelerator, 20 probes",
        "mdape",
        [("P11.error", None, 20, 15, ("similarity process", 22.3))],
    ),
    *_claims(
        "P11",
        "language models on an unseen accelerator, 20 probes",
        "spearman",
        [("P11.rank", None, 0.957, 0.965, ("similarity process", 0.951))],
    ),
    *_claims(
        "P12",
        "training steps of an unseen model family, 3 probes",
        "mdape",
        [("P12", None, 22, 18, ("similarity process", 24.8))],
    ),
)
_SEARCH_CLAIMS = ((4, 18.0, 12.0, 22.0), (6, 10.0, 5.0, 15.9))


def row_of(claim: Claim, result: Result) -> Row:
    """Return the row of a claim from its study's result."""
    asked = [
        score
        for score in result.scores
        if claim.probe_count in (None, score.probe_count) and score.probing == claim.probing
    ]
    by: dict[str, list[Score]] = {}
    for score in asked:
        by.setdefault(score.by, []).append(score)
    own = {name: group for name, group in by.items() if name.startswith(f"{DNAML} ")}
    peers = {name: mean_of(group, claim.measure) for name, group in by.items() if name not in own}
    trouble = result.trouble.get("") or (result.trouble.get(CHOSEN) if claim.probing == CHOSEN else None)
    seeds = [mean_of(group, claim.measure) for group in own.values()]
    quoted = {} if result.few else {f"{name} (quoted)": value for name, value in claim.quoted.items()}
    best = claim.best({**quoted, **peers})  # a figure on all targets is no rival of one on a few
    notes = [_aim(claim), "few targets: not comparable with a full run" if result.few else ""]
    if seeds and not trouble:
        middle = median_of((score for group in own.values() for score in group), claim.measure)
        notes.append(f"median over {len({s.target for s in asked})} targets {middle:.4g}")
        notes.append("by seed " + ", ".join(f"{value:.4g}" for value in seeds))
    told = [f"{name} {value:.4g}" for name, value in peers.items()]
    notes += ["in this run: " + ", ".join(told)] if told else []
    notes += ["quoted: " + ", ".join(f"{n} {v:.4g}" for n, v in claim.quoted.items())] if claim.quoted else []
    notes.append(spent(result))
    return Row(
        id=claim.id,
        metric=f"{claim.task}: {_WORDS[claim.measure]}",
        value=float(np.mean(seeds)) if seeds and not trouble else None,
        unit=claim.unit,
        op=claim.op,
        bar=claim.bar,
        peer=best[0] if best else None,
        peer_value=best[1] if best else None,
        note="; ".join(part for part in (trouble, *notes) if part),
    )


def quoted_row(claim: Claim, result: Result) -> Row | None:
    """Return the row of a claim on those targets alone that its quoted figures are about; None if these are all."""
    if claim.quoted_targets is None or result.few:
        return None
    asked = dict.fromkeys(score.target for score in result.scores if score.probe_count == claim.probe_count)
    kept = set(list(asked)[: claim.quoted_targets])
    row = row_of(claim, replace(result, scores=[score for score in result.scores if score.target in kept]))
    named = f"the {claim.quoted_targets} of {len(asked)} targets that the quoted figure is about"
    return replace(row, id=f"{claim.id}.quoted", metric=f"{row.metric}, {named}")


def _aim(claim: Claim) -> str:
    if claim.aim is None:
        return ""
    only = " (no floor is asked, so it is the bar)" if claim.bar == claim.aim else ""
    return f"aim {claim.op.value} {claim.aim:.4g}{only}"


def spent(result: Result) -> str:
    """Return the CPU seconds of a study in words."""
    return "CPU s: " + ", ".join(f"{who} {cpu_s:.0f}" for who, cpu_s in result.cpu_s.items())


def search_rows(result: Result) -> list[Row]:
    """Return the rows of the search for the cheapest cluster: mean regret after so many runs."""
    rows = []
    for count, bar, aim, quoted in _SEARCH_CLAIMS:
        means = regret_means(result.regrets, count)
        own = [value for name, value in means.items() if name.startswith(f"{DNAML} ")]
        peers = {name: value for name, value in means.items() if not name.startswith(f"{DNAML} ")}
        named = peers if result.few and peers else {**peers, "scaling (quoted)": quoted}
        best = min(named, key=named.__getitem__)
        trouble = result.trouble.get(CHOSEN) or result.trouble.get("")
        told = ", ".join(f"{name} {value:.3g}" for name, value in peers.items())
        seeds = "by seed " + ", ".join(f"{value:.3g}" for value in own)
        rows.append(
            Row(
                id=f"P8.n{count}",
                metric=f"search for the cheapest of 69 clusters: cost regret after {count} runs, the first 3 random",
                value=float(np.mean(own)) if own and not trouble else None,
                unit="%",
                bar=bar,
                peer=best,
                peer_value=named[best],
                note="; ".join(part for part in (trouble, f"aim <= {aim:.4g}", seeds, f"in this run: {told}") if part),
            )
        )
    return rows


def regret_means(regrets: Sequence[Regrets], count: int) -> dict[str, float]:
    """Return the mean regret after so many runs of everyone who searched."""
    by: dict[str, list[float]] = {}
    for regret in regrets:
        by.setdefault(regret.by, []).append(regret.after[REPORTED.index(count)])
    return {name: float(np.mean(values)) for name, values in by.items()}
