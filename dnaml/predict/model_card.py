"""The card of a model: what it learned from, how well it predicts what it never saw, and what made it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from dnaml.datasets.data_card import DataCard
from dnaml.predict.evaluation import Score

COLUMNS = (
    "never seen",
    "probes",
    "by",
    "runs",
    "MAPE %",
    "median error %",
    "in p10-p90 %",
    "ln width",
    "rank",
    "regret %",
)
"""of the table of scores"""

_HELD = {
    "resource": "resource",
    "family": "kernel",
    "computation": "computation",
    "cell": "pair",
    "both": "resource and kernel",
    "later": "the newest fifth",
    "none": "as given",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a model card states beside its figures."""

    name: str
    purpose: str
    command: str
    day: str
    commit: str
    licence: str
    data: str
    limits: tuple[str, ...]


def written(facts: Facts, data: DataCard, scores: Sequence[Score]) -> str:
    """Return the card as Markdown."""
    limits = "\n".join(f"- {limit}" for limit in facts.limits)
    return "\n".join(
        [
            f"# {facts.name}",
            "",
            facts.purpose,
            "",
            f"- Made by `{facts.command}` on {facts.day}, commit {facts.commit}.",
            f"- Licence: {facts.licence}",
            "- Files: `weights.safetensors` (arrays), `config.json` (plain values), `manifest.json` (sizes and SHA-256,"
            " checked before anything is read). No pickle.",
            "",
            "## Learned from",
            "",
            facts.data,
            "",
            *data.lines(),
            "",
            "## Held-out figures",
            "",
            "Each fold keeps whole resources, kernels or pairs from training; `probes` runs of each new one are then"
            " given. Rank is Spearman's; regret is how much slower the resource predicted best is than the best one.",
            "",
            *score_lines(scores),
            "",
            "## Known limits",
            "",
            limits,
            "",
        ]
    )


def score_lines(scores: Sequence[Score]) -> list[str]:
    """Return scores as lines of a Markdown table."""
    rows = [f"| {' | '.join(score_cells(one))} |" for one in scores]
    return [f"| {' | '.join(COLUMNS)} |", "|" + "---|" * len(COLUMNS), *rows]


def score_cells(one: Score) -> tuple[str, ...]:
    """Return one score as text, a cell for each of COLUMNS."""
    return (
        _HELD.get(one.held, one.held),
        str(one.probes),
        one.estimator,
        str(one.runs),
        f"{one.mape_pct:.1f}",
        f"{one.mdape_pct:.1f}",
        f"{one.inside_pct:.1f}",
        f"{one.width:.2f}",
        f"{one.spearman:.3f}",
        f"{one.regret_pct:.1f}",
    )


def metrics_of(scores: Sequence[Score]) -> dict[str, float]:
    """Return scores by dotted names (`resource.k3.dnaml.mape_pct`), without those that are not known."""
    found = {}
    for one in scores:
        place = f"{one.held}.k{one.probes}.{one.estimator}"
        figures = {key: value for key, value in asdict(one).items() if isinstance(value, float) and value == value}
        found.update({f"{place}.{key}": value for key, value in figures.items()})
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """How one predictor did on what was held back, given `probes` runs of it: figures by their short name."""

    held: str
    probes: int
    estimator: str
    figures: dict[str, float]

    @property
    def never_seen(self) -> str:
        """Return in words what was held back."""
        return _HELD.get(self.held, self.held)


def figures_of(metrics: Mapping[str, float]) -> list[Figures]:
    """Return what `metrics_of` named, in its order of names; other metrics are left out."""
    found: dict[tuple[str, int, str], dict[str, float]] = {}
    for name, value in sorted(metrics.items()):
        match name.split("."):
            case [held, probes, estimator, figure] if probes[:1] == "k" and probes[1:].isdigit():
                found.setdefault((held, int(probes[1:]), estimator), {})[figure] = value
    return [
        Figures(held=held, probes=probes, estimator=estimator, figures=figures)
        for (held, probes, estimator), figures in found.items()
    ]
