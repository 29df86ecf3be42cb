"""When running work should move to another resource: when it pays, surely enough, and not too often.

    gain = J(stay | what remains) - J(move | what remains + saving + transfer + start + restoring)

Both sides are distributions (equally likely times, see remaining.py) to which the expected losses by failures are
added; moving needs `gain > 0.1 J(stay)` on average, `P(gain > 0) > 0.8`, and ten minutes since the last move. A warning
(spot notice, heat, errors) is told by a higher hazard on the side that stays, and ends the waiting.
"""

from dataclasses import dataclass
from enum import Enum

from dnaml.core.plan import FloatArray
from dnaml.schedule.checkpointing import Hazards, best_stretches, expected_s


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationRule:
    """Holds what a move must promise: numbers that keep work from going to and fro."""

    least_gain: float = 0.1
    """as a share of what staying costs"""
    least_probability: float = 0.8
    """that the move gains at all"""
    rest_s: float = 600.0
    """between two moves of one job, unless it was warned"""


RULE = MigrationRule()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Side:
    """Describes one way to end the work: `remaining_s` [N] equally likely times on that resource from now on.

    `overhead_s` comes first: nothing for staying; saving, transfer, start and restoring for moving. Prices are per
    second; an unknown price counts as 0 on both sides.
    """

    remaining_s: FloatArray
    overhead_s: float = 0.0
    price_usd_per_s: float = 0.0
    hazards: Hazards


class Verdict(Enum):
    """Is what the rule says of one possible move, or the first condition it fails."""

    MOVE = "move"  # it pays, surely enough
    TOO_SOON = "moved a short time ago"  # the last move was less than rest_s ago
    NO_GAIN = "gains too little"  # the mean gain is below least_gain of what staying costs
    UNSURE = "may well lose"  # the probability of a gain is below least_probability


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Explains one possible move: the verdict, J of both sides, and the probability that the move gains."""

    verdict: Verdict
    stay: float
    move: float
    probability: float


def judge(
    stay: Side,
    move: Side,
    *,
    usd_per_s: float,
    since_last_s: float = float("inf"),
    warned: bool = False,
    rule: MigrationRule = RULE,
) -> Judgement:
    """Return whether to move. `usd_per_s` is what a second of waiting is worth beside the price of the resource.

    Only the ratio of the two sides counts, so J is given in dollars; with `usd_per_s` 0 cost alone decides.
    """
    staying, moving = costs(stay, usd_per_s), costs(move, usd_per_s)
    here, there = float(staying.mean()), float(moving.mean())
    probability = float((staying[:, None] > moving[None, :]).mean())
    if since_last_s < rule.rest_s and not warned:
        verdict = Verdict.TOO_SOON
    elif not here - there > rule.least_gain * here:
        verdict = Verdict.NO_GAIN
    elif not probability > rule.least_probability:
        verdict = Verdict.UNSURE
    else:
        verdict = Verdict.MOVE
    return Judgement(verdict=verdict, stay=here, move=there, probability=probability)


def costs(side: Side, usd_per_s: float) -> FloatArray:
    """Return J [N] of the equally likely ways in which a side may go, failures and their repair included."""
    times_s = expected_s(side.remaining_s, best_stretches(side.remaining_s, side.hazards), side.hazards)
    return (usd_per_s + side.price_usd_per_s) * (side.overhead_s + times_s)
