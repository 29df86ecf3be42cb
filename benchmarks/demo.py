"""What the whole main job reaches, on real executions: `dnaml demo` for several seeds, each row the worst of them.

`python -m benchmarks.demo [--quick] [--json]` runs one seed if quick, else three (about four minutes each). With
`--from FILE ...` it judges what earlier `dnaml demo --json --seed S > FILE` printed, and runs nothing.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.report import Op, Row
from benchmarks.report import main as report_main

SEEDS = (0, 1, 2)
PRESETS = ("min_cost", "min_latency", "balanced")
SIMPLE = ("random", "round_robin", "cheapest", "highest_clock", "seed_matcher")
DNAML, ORACLE = "dnaml", "oracle"
BAR_BEST, BAR_MEAN, BAR_ORACLE = 0.85, 0.6, 1.15
BAR_ERROR_PERCENT, COVER_PERCENT = 15.0, (72.0, 88.0)
BAR_ELAPSED_S = 240.0

Summary = Mapping[str, Any]  # Any: what `dnaml demo --json` prints


def run_demo(seed: int) -> tuple[Summary | None, str]:
    """Run the demo and return its summary with the elapsed time added, or None and why there is none."""
    with tempfile.TemporaryDirectory(prefix="dnaml-bench-") as folder:
        command = [sys.executable, "-m", "dnaml", "demo", "--json", "--seed", str(seed), "--out", folder]
        begin_s = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        elapsed_s = time.monotonic() - begin_s
    if done.returncode:
        return None, f"seed {seed}: exit code {done.returncode}: {(done.stderr.strip().splitlines() or [''])[-1]}"
    return {"total_s": elapsed_s, **json.loads(done.stdout)}, ""


def rows_of(summaries: Sequence[Summary], trouble: Sequence[str] = ()) -> list[Row]:
    """Return every row: the worst value over the summaries, and no value where a seed could not run."""
    whole = summaries if not trouble else ()
    return [
        *(row for preset in PRESETS for row in _policy_rows(whole, preset, trouble)),
        *_prediction_rows(whole, trouble),
        *_failover_rows(whole, trouble),
        _worst("D7.elapsed", "the whole demo, elapsed", "s", [_elapsed_s(s) for s in whole], BAR_ELAPSED_S, trouble),
    ]


def _policy_rows(summaries: Sequence[Summary], preset: str, trouble: Sequence[str]) -> Iterator[Row]:
    """Yield dnaml's objective over the best simple policy's, the mean of the simple ones', and the oracle's."""
    reached = [
        {name: figures["objective"] for name, figures in summary["policies"][preset].items()} for summary in summaries
    ]
    best = [r[DNAML] / min(r[name] for name in SIMPLE) for r in reached]
    mean = [r[DNAML] / statistics.fmean(r[name] for name in SIMPLE) for r in reached]
    oracle = [r[DNAML] / r[ORACLE] for r in reached]
    what = f"{preset}: objective of dnaml over"
    yield _worst(f"D1.{preset}", f"{what} the best simple policy's", "x", best, BAR_BEST, trouble)
    yield _worst(f"D2.{preset}", f"{what} the simple policies' mean", "x", mean, BAR_MEAN, trouble)
    yield _worst(f"D3.{preset}", f"{what} the oracle's", "x", oracle, BAR_ORACLE, trouble)


def _prediction_rows(summaries: Sequence[Summary], trouble: Sequence[str]) -> Iterator[Row]:
    """Yield error and coverage on held-back runs."""
    said = [summary["prediction"] for summary in summaries]
    covers = [p["cover80"] for p in said]
    low, high = COVER_PERCENT
    error = "median error on held-back runs"
    yield _worst("D4.mdape", error, "%", [p["mdape"] for p in said], BAR_ERROR_PERCENT, trouble)
    what = "held-back runs inside p10 to p90"
    yield _worst("D5.cover_least", f"{what}, least", "%", covers, low, trouble, op=Op.AT_LEAST)
    yield _worst("D5.cover_most", f"{what}, most", "%", covers, high, trouble)


def _failover_rows(summaries: Sequence[Summary], trouble: Sequence[str]) -> Iterator[Row]:
    """Yield what a killed worker cost."""
    shown = [summary["failover"] for summary in summaries]
    for key in ("lost", "duplicated"):
        yield _worst(f"D6.{key}", f"results {key} after SIGKILL of a worker", "results", _of(shown, key), 0, trouble)
    yield _worst("D6.detect", "from the kill to its detection", "s", _of(shown, "detect_s"), None, trouble)
    yield _worst("D6.redone", "work done again", "s", _of(shown, "redone_s"), None, trouble)


def _elapsed_s(summary: Summary) -> float | None:
    """Return the elapsed time of the whole, else of the stages that were timed; None when neither is told."""
    stages = summary.get("elapsed_s", {})
    told: float | None = summary.get("total_s", sum(stages.values()) if stages else None)
    return told


def _of(parts: Sequence[Summary], key: str) -> list[Any]:  # Any: a number, or None
    return [part[key] for part in parts]


def _worst(
    row_id: str,
    metric: str,
    unit: str,
    values: Sequence[float | None],
    bar: float | None,
    trouble: Sequence[str],
    *,
    op: Op = Op.AT_MOST,
) -> Row:
    """Return the row of the worst value; each seed's own stands in the note."""
    known = [value for value in values if value is not None]
    worst = None if not known else max(known) if op is Op.AT_MOST else min(known)
    note = "; ".join(trouble) or ("each seed: " + ", ".join(f"{v:.3g}" for v in known) if len(known) > 1 else "")
    if worst is None and not note:
        note = "the summary does not tell"
    return Row(id=row_id, metric=metric, value=worst, unit=unit, op=op, bar=bar, note=note)


def measure(quick: bool) -> Sequence[Row]:
    """Return every row of fresh runs."""
    ran = [run_demo(seed) for seed in (SEEDS[:1] if quick else SEEDS)]
    return rows_of([summary for summary, _ in ran if summary is not None], [why for _, why in ran if why])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark, or judge stored summaries, and print the answer."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--from", dest="files", nargs="+", type=Path, default=[])
    options, rest = parser.parse_known_args(arguments)
    if not options.files:
        return report_main("demo", measure, rest, seeds=SEEDS[:1] if "--quick" in rest else SEEDS)
    stored = [json.loads(path.read_text()) for path in options.files]
    return report_main(
        "demo", lambda quick: rows_of(stored), rest, seeds=[summary["seed"] for summary in stored if "seed" in summary]
    )


if __name__ == "__main__":
    sys.exit(main())
