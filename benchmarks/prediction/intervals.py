"""Whether p10 to p90 holds eight truths of ten on groups never seen: pooled, in each row, and how wide it is for that.

The best peer of each row stands beside, with intervals made conformal on groups held out of its history.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.prediction.claims import CLAIMS, Claim
from benchmarks.prediction.scores import RANDOM, Score, mean_of
from benchmarks.prediction.studies import DNAML, Result
from benchmarks.report import Op, Row

POOLED, EACH = (76.0, 84.0), (70.0, 90.0)
_SAME_ANSWERS = ("P11.rank", "P7.without")  # another measure of answers that count already, or the same tasks again


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """Coverage in percent and mean ln width of one row, beside the best peer that has intervals."""

    id: str
    cover: float
    width: float
    targets: tuple[float, ...]
    peer: str | None
    peer_cover: float
    peer_width: float


def rows_of(results: Mapping[str, Result]) -> list[Row]:
    """Return the rows of coverage; every held-out target counts the same in the pooled one."""
    found = [cover for claim in CLAIMS if claim.study in results if (cover := cover_of(claim, results[claim.study]))]
    if not found:
        return [_row("P13.pooled", "p10 to p90 on held-out groups", None, POOLED[0], note="nothing was predicted")]
    pooled = float(np.mean(np.concatenate([cover.targets for cover in found])))
    said = ", ".join(f"{cover.id} {cover.cover:.0f} % ({cover.width:.2f})" for cover in found)
    note = f"aim 78-82 %; mean over targets; by row, with mean ln(p90 / p10): {said}"
    low, high = min(found, key=lambda c: c.cover), max(found, key=lambda c: c.cover)
    each = "aim 75-86 %"
    return [
        _row("P13.pooled_least", "p10 to p90 on held-out groups holds, pooled", pooled, POOLED[0], note=note),
        _row("P13.pooled_most", "the same, at most", pooled, POOLED[1], op=Op.AT_MOST),
        _row("P13.each_least", "the least of any row", low.cover, EACH[0], note=f"{low.id}; {each}"),
        _row("P13.each_most", "the most of any row", high.cover, EACH[1], op=Op.AT_MOST, note=f"{high.id}; {each}"),
        _width_row(found),
        *(_beside(cover) for cover in found),
    ]


def cover_of(claim: Claim, result: Result) -> Cover | None:
    """Return the coverage of a claim's answers, or None where dnaml gave none."""
    asked = [s for s in result.scores if claim.probe_count in (None, s.probe_count) and s.probing == RANDOM]
    own = [score for score in asked if score.by.startswith(f"{DNAML} ") and np.isfinite(score.cover)]
    if not own or claim.probing != RANDOM or claim.id in _SAME_ANSWERS:
        return None
    peers: dict[str, list[Score]] = {}
    for score in asked:
        if not score.by.startswith(f"{DNAML} ") and np.isfinite(score.cover):
            peers.setdefault(score.by, []).append(score)
    best = claim.best({name: mean_of(group, claim.measure) for name, group in peers.items()})
    beside = peers[best[0]] if best else []
    return Cover(
        id=claim.id,
        cover=mean_of(own, "cover"),
        width=mean_of(own, "width"),
        targets=tuple(score.cover for score in own),
        peer=best[0] if best else None,
        peer_cover=mean_of(beside, "cover"),
        peer_width=mean_of(beside, "width"),
    )


def _width_row(found: Sequence[Cover]) -> Row:
    """Return how much wider than the best peer's the intervals are, over the rows where that peer has some."""
    among = [cover for cover in found if np.isfinite(cover.peer_width)]
    ratio = float(np.mean([c.width for c in among]) / np.mean([c.peer_width for c in among])) if among else None
    return Row(
        id="P13.width",
        metric="mean ln(p90 / p10) over that of each row's best conformal peer",
        value=ratio,
        unit="x",
        note="aim <= 1, at the peers' coverage" if among else "no peer had intervals",
    )


def _beside(cover: Cover) -> Row:
    told = f"ln width {cover.width:.2f}"
    if cover.peer is not None:
        told += f"; {cover.peer}: {cover.peer_cover:.0f} % at ln width {cover.peer_width:.2f}"
    return Row(
        id=f"P13.{cover.id}",
        metric=f"p10 to p90 holds in {cover.id}",
        value=cover.cover,
        unit="%",
        op=Op.AT_LEAST,
        peer=cover.peer,
        peer_value=cover.peer_cover if cover.peer is not None else None,
        note=told,
    )


def _row(row_id: str, metric: str, value: float | None, bar: float, *, op: Op = Op.AT_LEAST, note: str = "") -> Row:
    return Row(id=row_id, metric=metric, value=value, unit="%", op=op, bar=bar, note=note)
