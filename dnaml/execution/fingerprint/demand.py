"""Turns what a pilot saw into demands of a computation; what the pilot could not tell is absent, never zero."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dnaml.execution.fingerprint.reports import Report

MASK_BELOW = 0.6  # confidence in a share of random access under which it is left out
AMOUNTS = frozenset(
    {
        "flop", "fp64_flop", "fp32_flop", "low_precision_flop", "read_bytes", "written_bytes", "transferred_bytes",
        "working_set_bytes", "peak_memory_bytes",
    }
)  # fmt: skip
"""Names the demands that grow with the size of the computation; all others are shares and ratios."""

_FEWEST_SAMPLES = 10
_FEWEST_WINDOWS = 5
_KNOWN_SHARE = 0.3
_TORCH_SHARE = 0.5
_SHORTEST_S = 0.005  # a shorter run says nothing about shares of its time
_QUIET_RATE = 300_000.0  # pages a second: no more than a program that stays in its cache


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """All that one size of a computation showed.

    `narrow` ran with one thread for libraries, `wide` with `cores`; `narrow` was held still for `frozen_s` of its time.
    `page_rates` are touched pages per second of processor time, window by window; `sequential_rate` and `random_rate`
    the same of our own yardsticks.
    """

    narrow: Report
    ended: bool
    cores: int
    wide: Report | None = None
    frozen_s: float = 0.0
    working_set_bytes: float | None = None
    page_rates: Sequence[float] = ()
    sequential_rate: float | None = None
    random_rate: float | None = None
    tree: Mapping[str, float] | None = None


def demand_of(seen: Seen) -> dict[str, float]:
    """Return the demands that were seen; amounts only of a run that came to its end."""
    found = {**_processor(seen), **_precision(seen.narrow), **_random_access(seen)}
    if seen.ended:
        found.update(_amounts(seen))
    if seen.narrow.checkpoint_bytes is not None:
        found["checkpoint_bytes"] = seen.narrow.checkpoint_bytes
    return found


def extrapolated(small: Mapping[str, float], larger: Mapping[str, float]) -> dict[str, float]:
    """Return the demands of the next size, two steps of one scale being known: amounts go on by the same ratio."""
    found = {key: value for key, value in larger.items() if key not in AMOUNTS}
    for key in AMOUNTS & larger.keys() & small.keys():
        if larger[key] == 0 or small[key] > 0:
            found[key] = larger[key] * (max(1.0, larger[key] / small[key]) if small[key] else 0.0)
    return found


def _processor(seen: Seen) -> dict[str, float]:
    own_s = seen.narrow.own_s - seen.frozen_s
    if own_s < _SHORTEST_S:
        return {}
    cpu_s = seen.narrow.cpu_s
    found = {"cpu_share": min(1.0, cpu_s / own_s), "parallelism": cpu_s / own_s}
    if seen.wide is not None and seen.wide.own_s >= _SHORTEST_S and seen.cores > 1:
        busy = seen.wide.cpu_s / seen.wide.own_s  # threads that only wait for each other in a loop are busy too
        found["parallelism"] = max(cpu_s / own_s, min(cpu_s / seen.wide.own_s, busy))
        speedup = min(max(1.0, own_s / seen.wide.own_s), max(1.0, busy))
        found["parallel_share"] = min(1.0, (1 - 1 / speedup) / (1 - 1 / seen.cores))
    gpu_share = (seen.tree or {}).get("gpu_busy_share")
    if gpu_share is not None:
        found["gpu_share"] = min(1.0, gpu_share)
    return found


def _precision(report: Report) -> dict[str, float]:
    """Return shares of fp64, fp32 and lower precision: of torch's operations, or of the samples taken."""
    weights = report.torch_weight
    if not (report.watches_torch and report.wall_s and report.torch_s / report.wall_s >= _TORCH_SHARE and weights):
        weights = dict(report.precision)
        unknown = weights.pop("unknown", 0.0)
        if report.samples < _FEWEST_SAMPLES:
            return {}
        if not report.has_arrays:  # nothing but Python's own numbers: what is not a float there is no float at all
            weights["integer"] = weights.get("integer", 0.0) + unknown
        elif sum(weights.values()) < _KNOWN_SHARE * report.samples:
            return {}
    total = sum(weights.values())
    names = {"fp64_share": "fp64", "fp32_share": "fp32", "low_precision_share": "low"}
    return {name: weights.get(kind, 0.0) / total for name, kind in names.items()} if total else {}


def _amounts(seen: Seen) -> dict[str, float]:
    report = seen.narrow
    told: dict[str, float | None] = {
        "read_bytes": report.read_bytes,
        "written_bytes": report.written_bytes,
        "working_set_bytes": seen.working_set_bytes,
        "peak_memory_bytes": max(report.peak_memory_bytes, (seen.tree or {}).get("peak_memory_bytes", 0.0)) or None,
        "transferred_bytes": _transferred(seen.tree or {}),
    }
    if report.flop and report.wall_s and report.torch_s / report.wall_s >= _TORCH_SHARE:
        told["flop"] = sum(report.flop.values())
        for name, kind in (("fp64_flop", "fp64"), ("fp32_flop", "fp32"), ("low_precision_flop", "low")):
            told[name] = report.flop.get(kind)
    return {name: value for name, value in told.items() if value is not None}


def _transferred(tree: Mapping[str, float]) -> float | None:
    if "tcp_sent_bytes" not in tree or "tcp_received_bytes" not in tree:
        return None
    return tree["tcp_sent_bytes"] + tree["tcp_received_bytes"]


def _random_access(seen: Seen) -> dict[str, float]:
    """Return the shares of time that go to accesses at random places and to streaming, with how sure that is.

    With r pages touched a second where a stream touches s and random reads touch R, `r = random R + sequential s`: the
    random share lies between max(0, (r - s) / (R - s)), the rest being a stream at full speed, and r / R, there being
    no stream. The middle is told; the confidence is one less the distance of the two.
    """
    count = len(seen.page_rates)
    if count < _FEWEST_WINDOWS:
        return {}
    rate = statistics.median(seen.page_rates)
    weight = min(1.0, count / 10)
    if rate < _QUIET_RATE:
        return {"random_share": 0.0, "sequential_share": 0.0, "random_share_confidence": 0.9 * weight}
    stream, random = seen.sequential_rate, seen.random_rate
    if stream is None or random is None or random <= stream * 1.05:
        return {}
    least = min(1.0, max(0.0, (rate - stream) / (random - stream)))
    most = min(1.0, rate / random)
    confidence = weight * (1.0 - max(0.0, most - least))
    if confidence < MASK_BELOW:
        return {"random_share_confidence": confidence}
    share = (least + most) / 2
    streamed = min(1.0 - share, max(0.0, (rate - share * random) / stream))
    return {"random_share": share, "sequential_share": streamed, "random_share_confidence": confidence}
