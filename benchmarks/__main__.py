"""Runs every benchmark, one after the other in a process of its own, and writes what they answered to one page.

`python -m benchmarks [NAME ...] [--quick] [--only PARTS] [--json]`. The answers are kept as JSON beside the page, so
that a benchmark that runs alone replaces its own section, and parts of it their own rows; the rows that stay say of
which commit they are. With `--json` the answers are printed and nothing is written.
"""

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "benchmarks.md"
ANSWERS = HERE.parent / "docs" / "benchmarks.json"
Answer = Mapping[str, Any]  # Any: one object of the form that benchmarks/report.py states

_HEAD = """# Benchmarks

This page is written by `make bench` from what the benchmarks answered (`docs/benchmarks.json`); do not edit it. One of
them alone: `python -m benchmarks.NAME [--quick] [--json]`, or `python -m benchmarks NAME` to replace its section here.

A row with a bar says **met** or **MISSED**; a row without one stands beside for comparison. Peers ran in the same run
on the same machine. Figures from a machine that does other work at the same time are worse than from an idle one, for
the peers too: each part states the load that it met.
"""


_MEASURES = re.compile(r"^(def measure\(|PARTS: )", re.MULTILINE)


def names() -> list[str]:
    """Return the benchmarks that there are: every module or package here with a function `measure`, or with `PARTS`."""
    modules = {path.stem: path for path in HERE.glob("*.py")}
    packages = {path.parent.name: path for path in HERE.glob("*/__main__.py")}
    return sorted(name for name, path in {**modules, **packages}.items() if _MEASURES.search(path.read_text()))


def ask(name: str, *, quick: bool, only: str = "", root: Path = HERE.parent) -> dict[str, Any]:
    """Run one benchmark, or parts of it, and return its answer; raise CalledProcessError when it fails."""
    command = [sys.executable, "-m", f"benchmarks.{name}", "--json", *(["--quick"] if quick else [])]
    command += ["--only", only] if only else []
    done = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def page(answers: Mapping[str, Answer]) -> str:
    """Return the page of all answers, by name."""
    return "\n".join([_HEAD, *(_part(answers[name]) for name in sorted(answers))])


def _part(answer: Answer) -> str:
    machine = answer["machine"]
    seeds = f", seeds {', '.join(map(str, answer['seeds']))}" if answer["seeds"] else ""
    quick = " --quick" if answer["quick"] else ""
    lines = [
        f"## {answer['name']}",
        "",
        f"`python -m benchmarks.{answer['name']}{quick}`: {machine['cpu']}, {machine['cores']} cores, load "
        f"{machine['load_1min']}, Python {machine['python']}, commit {answer['commit']}{seeds}.",
        "",
        "| id | what | value | bar | | peer |",
        "|---|---|---|---|---|---|",
        *(_row(row) for row in answer["rows"]),
        "",
    ]
    notes = [f"- {row['id']}: {row['note']}" for row in answer["rows"] if row["note"]]
    return "\n".join([*lines, *notes, ""] if notes else lines)


def _row(row: Answer) -> str:
    value = "not run" if row["value"] is None else f"{row['value']:.4g} {row['unit']}"
    bar = "" if row["bar"] is None else f"{row['op']} {row['bar']:.4g}"
    verdict = "" if row["bar"] is None and row["pass"] else "met" if row["pass"] else "**MISSED**"
    peer = row["peer"] or ""
    if row["peer_value"] is not None:
        peer += f" {row['peer_value']:.4g}"
    cells = (row["id"], row["metric"], value, bar, verdict, peer)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def known(path: Path) -> dict[str, Any]:
    """Return the answers kept from earlier runs, none when there is no file."""
    answers: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return answers


def keep(answers: Mapping[str, Answer], *, kept: Path = ANSWERS, written: Path = PAGE) -> None:
    """Replace the parts of these answers in the kept JSON, and write the page anew."""
    merged = {**known(kept), **answers}
    kept.write_text(json.dumps(merged, indent=1, sort_keys=True) + "\n")
    written.write_text(page(merged))


def merged(kept: Answer, fresh: Answer) -> dict[str, Any]:
    """Return a benchmark's answer in which fresh rows replace those of their identifiers, and the others stay.

    What stays says of which commit, size and load it is, unless it said so before. The place of a new identifier is
    after the last row that was replaced.
    """
    by_id: dict[str, list[Any]] = {}
    for row in fresh["rows"]:
        by_id.setdefault(row["id"], []).append(row)
    of = f"of commit {kept['commit']}{' --quick' if kept['quick'] else ''}, load {kept['machine']['load_1min']}"
    rows: list[Any] = []
    last = len(kept["rows"])
    for row in kept["rows"]:
        if row["id"] in {one["id"] for one in fresh["rows"]}:
            rows += by_id.pop(row["id"], [])
            last = len(rows)
        else:
            told = row["note"] if "of commit" in row["note"] else "; ".join(filter(None, (row["note"], of)))
            rows.append({**row, "note": told})
    rows[last:last] = [row for unknown in by_id.values() for row in unknown]
    return {**fresh, "rows": rows}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for; the exit code is 1 when a benchmark could not run, whatever the bars say."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which (default: all): {', '.join(names())}")
    parser.add_argument("--quick", action="store_true", help="every row on less data")
    parser.add_argument("--only", default="", metavar="PARTS", help="parts of the one benchmark that is named")
    parser.add_argument("--json", action="store_true", help="print the answers as one JSON list and write nothing")
    options = parser.parse_args(arguments)
    for name in options.names:
        if name not in names():
            parser.error(f"there is no benchmark {name!r}; there are {', '.join(names())}")
    if options.only and len(options.names) != 1:
        parser.error(f"--only is of one benchmark, got {len(options.names)} names")
    answers, failed = {}, 0
    for name in options.names or names():
        print(f"benchmarks.{name} ...", file=sys.stderr, flush=True)
        try:
            answers[name] = ask(name, quick=options.quick, only=options.only)
        except (subprocess.CalledProcessError, json.JSONDecodeError) as error:
            print(f"benchmarks.{name}: {error}", file=sys.stderr)
            failed = 1
    if options.json:
        print(json.dumps(list(answers.values()), indent=1))
    else:
        before = known(ANSWERS)
        keep(
            {
                name: merged(before[name], one) if options.only and name in before else one
                for name, one in answers.items()
            }
        )
        print(f"written: {PAGE.relative_to(HERE.parent)}", file=sys.stderr)
    return failed


if __name__ == "__main__":
    sys.exit(main())
