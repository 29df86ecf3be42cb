"""Injects every fault of the catalogue and prints one line for each, then the rows beside their bars."""

import argparse
import importlib
import json
import pkgutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol, cast

import benchmarks.faults
from benchmarks.faults.outcome import Outcome, Tier
from benchmarks.report import Row, document, table

_NOT_FAULTS = {"__main__", "outcome"}


class Fault(Protocol):
    """Is a module of this package: `measure(runs, seed, folder)` injects for real and says what it saw."""

    ID: str
    RUNS: Mapping[Tier, int]
    measure: Callable[[int, int, Path], Outcome]


def faults(only: Sequence[str] = ()) -> Iterator[Fault]:
    """Yield the modules that are faults, in the order of their ids; support modules have no ID."""
    for info in sorted(pkgutil.iter_modules(benchmarks.faults.__path__), key=lambda info: info.name):
        if info.name not in _NOT_FAULTS:
            module = importlib.import_module(f"benchmarks.faults.{info.name}")
            if hasattr(module, "ID") and (not only or module.ID in only):
                yield cast(Fault, module)


def rows_of(outcome: Outcome) -> list[Row]:
    """Return the rows of one fault: what was lost or doubled, then each figure beside its bar."""
    if outcome.skipped:
        return [Row(id=outcome.id, metric=outcome.what, value=None, unit="", note=f"skipped: {outcome.skipped}")]
    harm = float(outcome.lost + outcome.duplicated)
    note = f"{outcome.runs} runs, seed {outcome.seed}"
    first = Row(id=outcome.id, metric=f"{outcome.what}: lost + doubled", value=harm, unit="", bar=0.0, note=note)
    return [
        first,
        *(
            Row(
                id=f"{outcome.id}.{figure.name}",
                metric=figure.name.replace("_", " "),
                value=figure.value,
                unit=figure.unit,
                op=figure.op,
                bar=figure.bar,
                peer=figure.peer,
                peer_value=figure.peer_value,
            )
            for figure in outcome.figures
        ),
    ]


def measure(tier: Tier, only: Sequence[str], seed: int, told: Callable[[str], None]) -> list[Row]:
    """Inject every fault (or those named) and return its rows; `told` receives each fault's line at once."""
    rows: list[Row] = []
    for fault in faults(only):
        with tempfile.TemporaryDirectory(prefix="dnaml-fault-") as folder:
            outcome = fault.measure(fault.RUNS[tier], seed, Path(folder))
        told(outcome.line())
        rows += rows_of(outcome)
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; exit code 0 once everything was injected, whatever it showed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults")
    parser.add_argument("--tier", type=Tier, choices=list(Tier), default=None, help="quick (default) or soak")
    parser.add_argument("--quick", action="store_true", help="the same as --tier quick")
    parser.add_argument("--only", action="append", default=[], metavar="ID", help="one fault, e.g. A1; may be repeated")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print one JSON object; the lines go to stderr")
    options = parser.parse_args(arguments)
    tier = options.tier or Tier.QUICK
    stream = sys.stderr if options.json else sys.stdout
    rows = measure(tier, options.only, options.seed, lambda line: print(line, file=stream, flush=True))
    if options.json:
        answer = document("faults", rows, seeds=[options.seed], quick=tier is Tier.QUICK)
        print(json.dumps(answer, indent=1, allow_nan=False))
    else:
        print(table("faults", rows, quick=tier is Tier.QUICK))
    return 0


if __name__ == "__main__":
    sys.exit(main())
