"""`python -m benchmarks.prediction [--quick] [--json] [--only P3,P5,speed] [--seeds 1] [--few-peers] [--plot FOLDER]`.

A full run takes hours on one core; a quick one asks one seed about few targets. `--seeds 1 --few-peers` asks about all
targets with one seed of the model, beside the peers that learn fast. Without the public data only the rows of speed
have values.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from threadpoolctl import threadpool_limits

from benchmarks.prediction import claims, intervals, ranking, speed
from benchmarks.prediction.studies import STUDIES, Result, run
from benchmarks.prediction.tasks import data_folder
from benchmarks.report import Row
from benchmarks.report import main as report_main

SEEDS = (0, 1, 2)
GROUPS = ("P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8", "P9", "P10", "P11", "P12", "P13", "speed", "ranking")


def measure(
    quick: bool,
    only: Sequence[str] = GROUPS,
    plot: Path | None = None,
    *,
    seeds: Sequence[int] | None = None,
    few_peers: bool = False,
) -> Sequence[Row]:
    """Return the rows of these groups; P13 is about whichever tasks were answered."""
    with threadpool_limits(1):
        results = answered(quick, only, seeds=seeds, few_peers=few_peers)
    rows = [claims.row_of(claim, results[claim.study]) for claim in claims.CLAIMS if claim.study in results]
    quoted = (claims.quoted_row(claim, results[claim.study]) for claim in claims.CLAIMS if claim.study in results)
    rows += [row for row in quoted if row is not None]
    if "P9" in results:
        rows += claims.search_rows(results["P9"])
    if results:
        rows += intervals.rows_of(results)
    if "speed" in only:
        rows += speed.rows(quick=quick, plot=plot)
    if "ranking" in only:
        rows += ranking.rows(quick=quick)
    return rows


def answered(
    quick: bool, only: Sequence[str], *, seeds: Sequence[int] | None = None, few_peers: bool = False
) -> dict[str, Result]:
    """Return the result of every study that these groups need."""
    wanted = [study for study in STUDIES if study.id.split(".")[0] in only or (study.searches and "P8" in only)]
    if wanted and not data_folder().is_dir():
        why = f"the public data are not in {data_folder().name!r}; the environment's DNAML_DATA names their folder"
        return {study.id: Result(trouble={"": why}) for study in wanted}
    seeds = seeds or (SEEDS[:1] if quick else SEEDS)
    return {study.id: run(study, seeds=seeds, quick=quick, few_peers=few_peers) for study in wanted}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its answer."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--only", default=",".join(GROUPS), help="groups of rows, by comma")
    parser.add_argument("--seeds", type=int, default=len(SEEDS), choices=range(1, len(SEEDS) + 1), help="of the model")
    parser.add_argument("--few-peers", action="store_true", help="leave out the peers that take long to learn")
    parser.add_argument("--plot", type=Path, default=None, help="folder for the pictures of growth")
    options, rest = parser.parse_known_args(arguments)
    only = options.only.split(",")
    if unknown := set(only) - set(GROUPS):
        parser.error(f"there is no group {sorted(unknown)[0]!r}; there are {', '.join(GROUPS)}")
    seeds = SEEDS[:1] if "--quick" in rest else SEEDS[: options.seeds]

    def rows(quick: bool) -> Sequence[Row]:
        return measure(quick, only, options.plot, seeds=seeds, few_peers=options.few_peers)

    return report_main("prediction", rows, rest, seeds=seeds)


if __name__ == "__main__":
    sys.exit(main())
