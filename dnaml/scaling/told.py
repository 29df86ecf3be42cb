"""What scaling says of itself: the forecast it follows, what it wants, what is there, what it decided and why."""

from dataclasses import dataclass

from dnaml.core.events import Acquire, Command
from dnaml.execution.autoscaling import Autoscaler
from dnaml.predict.demand.forecaster import LEVELS
from dnaml.scaling.plan import Scaling
from dnaml.schedule.scaling import Scaler


@dataclass(frozen=True, slots=True, kw_only=True)
class DecidedTold:
    """One decision: "acquire" or "release", how many machines or which, and why."""

    at_s: float
    what: str
    which: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingTold:
    """The state of scaling at a moment; demand is counted in machines of the template.

    `demand` are the forecast quantiles at `levels` of the bin that begins `ahead_s` from the end of the newest bin,
    `level` the quantile that is followed, `wanted` machines beside what own resources carry. Empty and None: too
    little is known, and the reactive rule answers.
    """

    template: str
    dry_run: bool
    at_s: float
    bin_s: float
    ahead_s: float
    lead_p95_s: float
    levels: tuple[float, ...]
    demand: tuple[float, ...]
    newest_demand: float | None
    level: float
    wanted: int
    machines: tuple[str, ...]
    coming: int
    waiting_s: float
    spent_usd: float
    most_usd: float | None
    decisions: tuple[DecidedTold, ...]
    refused: tuple[str, ...]


def told(
    plan: Scaling, scaler: Scaler, scaling: Autoscaler, *, at_s: float, spent_usd: float, refused: tuple[str, ...]
) -> ScalingTold:
    """Return the state of scaling now; a snapshot that any thread may take."""
    view = scaling.view(at_s)
    said = scaler.forecast()
    past = scaler.past_s[-1:]
    return ScalingTold(
        template=scaler.template.name,
        dry_run=plan.dry_run,
        at_s=at_s,
        bin_s=plan.bin_s,
        ahead_s=scaler.ahead * plan.bin_s,
        lead_p95_s=scaler.lead.p95_s,
        levels=LEVELS,
        demand=() if said is None else tuple(float(one) for one in said),
        newest_demand=past[0] / plan.bin_s / scaler.template.rate if past else None,
        level=scaler.level,
        wanted=scaler.target,
        machines=tuple(one.id for one in view.machines),
        coming=view.coming,
        waiting_s=view.wait_s,
        spent_usd=spent_usd,
        most_usd=plan.most_usd if plan.most_usd < float("inf") else None,
        decisions=tuple(_decision(one.at_s, one.command) for one in list(scaling.decided)[-20:]),
        refused=refused[-20:],
    )


def _decision(at_s: float, command: Command) -> DecidedTold:
    if isinstance(command, Acquire):
        return DecidedTold(
            at_s=at_s, what="acquire", which=f"{command.count} x {command.template}", reason=command.reason
        )
    resource_id, reason = getattr(command, "resource_id", ""), getattr(command, "reason", "")
    return DecidedTold(at_s=at_s, what="release", which=resource_id, reason=reason)
