"""The one form of a benchmark's answer: rows with their bar and their peer, the machine, the commit.

A module calls `main(NAME, measure)`, where `measure(quick)` returns rows, or hands over its parts by name, of which
`--only` chooses. The table is for people, `--json` for programs; a row that could not run says why and never passes.
"""

import argparse
import contextlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from importlib import metadata
from pathlib import Path
from typing import Any

Measure = Callable[[bool], "Sequence[Row]"]
"""Returns rows; it is told whether to be quick."""

_PACKAGES = ("numpy", "scipy", "torch", "psutil", "scikit-learn")


class Op(Enum):
    """Is the side of the bar on which a value must lie."""

    AT_MOST = "<="  # smaller is better
    AT_LEAST = ">="  # larger is better


def keeps(value: float | None, op: Op, bar: float | None) -> bool:
    """Tell whether a value was measured and lies on the right side of its bar, if it has one."""
    if value is None or value != value:
        return False
    if bar is None:
        return True
    return value <= bar if op is Op.AT_MOST else value >= bar


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure. `id` is that of the claim, with a dot where it has several figures; `bar` is the one asked, never a
    looser one, and None for a figure that stands beside; `value` is None if it could not be measured, and `note` says
    why."""

    id: str
    metric: str
    value: float | None
    unit: str
    op: Op = Op.AT_MOST
    bar: float | None = None
    peer: str | None = None
    peer_value: float | None = None
    note: str = ""

    @property
    def passes(self) -> bool:
        """Tell whether the value was measured and lies on the right side of its bar, if it has one."""
        return keeps(self.value, self.op, self.bar)

    def as_json(self) -> dict[str, Any]:
        """Return the row with the keys of the one form."""
        return {
            "id": self.id,
            "metric": self.metric,
            "value": self.value if self.value == self.value else None,
            "unit": self.unit,
            "op": self.op.value,
            "bar": self.bar,
            "peer": self.peer,
            "peer_value": self.peer_value,
            "pass": self.passes,
            "note": self.note,
        }


@contextlib.contextmanager
def only_the_answer() -> Iterator[None]:
    """Send what native libraries print while measuring to stderr, so that stdout holds the answer alone."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def machine() -> dict[str, Any]:
    """Return what the figures depend on: processor, cores, memory, load now, system, Python and package versions."""
    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "load_1min": round(os.getloadavg()[0], 2),
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: version for name in _PACKAGES if (version := _version(name))},
    }


def commit() -> str:
    """Return the checkout's commit, with `-dirty` if tracked files differ from it, or `unknown` outside of git."""
    folder = Path(__file__).resolve().parent
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()


def document(name: str, rows: Sequence[Row], *, seeds: Sequence[int] = (), quick: bool = False) -> dict[str, Any]:
    """Return the whole answer as one object that JSON can hold."""
    return {
        "name": name,
        "commit": commit(),
        "machine": machine(),
        "seeds": list(seeds),
        "quick": quick,
        "rows": [row.as_json() for row in rows],
    }


def table(name: str, rows: Sequence[Row], *, quick: bool = False) -> str:
    """Return the answer as text for people, one line a row, notes below their row."""
    cells = [("", "id", "metric", "value", "bar", "peer"), *map(_cells, rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(6)]
    title = f"benchmarks.{name}" + (" (quick: less data than the full run)" if quick else "")
    lines = [title, "  ".join(text.ljust(width) for text, width in zip(cells[0], widths, strict=True)).rstrip()]
    for row, line in zip(rows, cells[1:], strict=True):
        lines.append("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())
        if row.note:
            lines.append(f"      {row.note}")
    here = machine()
    lines.append(f"{here['cpu']}, {here['cores']} cores, load {here['load_1min']}, commit {commit()}")
    return "\n".join(lines)


def main(
    name: str,
    measure: Measure | Mapping[str, Measure],
    arguments: Sequence[str] | None = None,
    *,
    seeds: Sequence[int] = (),
) -> int:
    """Run a benchmark from the command line, print its answer and return the exit code: 0 once it has measured."""
    parts = measure if isinstance(measure, Mapping) else {}
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}")
    parser.add_argument("--quick", action="store_true", help="every row on less data, in at most 10 minutes")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    if parts:
        parser.add_argument("--only", default="", metavar="PARTS", help=f"of {', '.join(parts)}, with commas between")
    options = parser.parse_args(arguments)
    chosen = [one for one in getattr(options, "only", "").split(",") if one]
    if unknown := sorted(set(chosen) - set(parts)):
        parser.error(f"--only must name parts of {', '.join(parts)}, got {unknown[0]!r}")
    with only_the_answer():
        rows = _measured(parts, chosen, options.quick) if isinstance(measure, Mapping) else measure(options.quick)
    if options.json:
        json.dump(document(name, rows, seeds=seeds, quick=options.quick), sys.stdout, indent=1, allow_nan=False)
        print()
    else:
        print(table(name, rows, quick=options.quick))
    return 0


def _measured(parts: Mapping[str, Measure], chosen: Sequence[str], quick: bool) -> list[Row]:
    """Return the rows of the parts chosen, of all without a choice; say on stderr which is measured."""
    rows: list[Row] = []
    for number, one in enumerate(chosen or parts, start=1):
        print(f"{one} ({number} of {len(chosen or parts)}) ...", file=sys.stderr, flush=True)
        rows += parts[one](quick)
    return rows


def _cells(row: Row) -> tuple[str, ...]:
    mark = "ok" if row.passes and row.bar is not None else "" if row.passes else "MISS"
    value = "not run" if row.value is None else f"{row.value:.4g} {row.unit}"
    bar = "" if row.bar is None else f"{row.op.value} {row.bar:.4g}"
    peer = "" if row.peer is None else row.peer if row.peer_value is None else f"{row.peer} {row.peer_value:.4g}"
    return mark, row.id, row.metric, value, bar, peer


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
