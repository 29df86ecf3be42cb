"""The page about the architecture tells of the tree as it is: every layer, and files that exist."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "architecture.md").read_text()


def section(title):
    """Return the rows of the table below a heading, as lists of cells."""
    text = PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]
    return [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")][2:]


def names(cell):
    return set(re.findall(r"`([\w./*]+)`", cell))


def test_the_layers_are_those_that_the_build_checks_from_top_to_bottom():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    checked = [set(re.findall(r"\w+", row)) for row in contracts[0]["layers"]]
    assert [names(row[0]) for row in section("The layers")] == checked[1:]  # without __main__


def test_every_file_that_a_newcomer_is_sent_to_is_there():
    for _, where in section("Where to look"):
        folder = ""
        for name in re.findall(r"`([\w./*]+)`", where):
            place = name if "/" in name else f"{folder}{name}"
            folder = f"{place.rsplit('/', 1)[0]}/"
            pattern = re.sub(r"(VERB|PAGE)", "*", place)
            assert list((ROOT / "dnaml").glob(pattern.rstrip("/"))), f"{name} is not in dnaml/"
