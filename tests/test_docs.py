"""What the documentation shows works as written: its blocks run, its pages build without a warning.

On each page, blocks run in order in one folder: `python` each as a script of its own, `bash` as one; a block with a
title is written to the file of that name. A block after `<!-- not run: REASON -->` is left out. The first page runs on
a machine that nothing is known of; the others find it profiled, once for all of them.
"""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from dnaml.cli.pool import keep, this_machine
from dnaml.telemetry.profile import profile_resource

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "docs" / "index.md", *sorted((ROOT / "docs").glob("[ch]o*/*.md"))]
REASON = r"(?:<!-- not run: (?P<why>[^>]+) -->\n)?"
FENCE = r"```(?P<language>\w+)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<body>.*?)^```$"
BLOCK = re.compile(f"^{REASON}{FENCE}", re.MULTILINE | re.DOTALL)
RUN = ("python", "bash")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One fenced block of a page; `why` says why it is not run, empty where it is."""

    language: str
    body: str
    title: str
    why: str


def blocks(page):
    return [
        Block(language=one["language"], body=one["body"], title=one["title"] or "", why=(one["why"] or "").strip())
        for one in BLOCK.finditer(page.read_text())
    ]


def run(command, folder):
    environment = {
        **os.environ,
        "DNAML_STATE": str(folder / "state"),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "MPLBACKEND": "Agg",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    environment.pop("MLFLOW_TRACKING_URI", None)
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_there_are_pages_with_blocks_to_run():
    found = [one for page in PAGES for one in blocks(page) if one.language in RUN and not one.why]
    assert len(PAGES) >= 15
    assert len(found) >= 20


def test_every_fence_is_seen():
    for page in PAGES:
        fences = re.findall(r"^```\w", page.read_text(), re.MULTILINE)
        assert len(fences) == len(blocks(page)), page.name


@pytest.fixture(scope="module")
def machine():
    """Profile this machine as `dnaml submit` does when it knows none."""
    return profile_resource(this_machine())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_blocks_of_a_page_run_as_written(page, tmp_path, request):
    if page is not PAGES[0]:
        keep(tmp_path / "state", [request.getfixturevalue("machine")])
    for number, block in enumerate(blocks(page)):
        if block.title:
            (tmp_path / block.title).write_text(block.body)
        elif block.language in RUN and not block.why:
            script = tmp_path / f"block-{number}.{block.language}"
            script.write_text(block.body)
            start = [sys.executable] if block.language == "python" else ["bash", "-e"]
            done = run([*start, str(script)], tmp_path)
            assert done.returncode == 0, f"{page.name}, block {number}:\n{block.body}\n{done.stdout}\n{done.stderr}"


@pytest.mark.slow
def test_the_pages_build_without_a_warning(tmp_path):
    pytest.importorskip("mkdocs", reason="needs the extra docs")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-f", str(ROOT / "mkdocs.yml")]
    done = run([*build, "-d", str(tmp_path)], tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "how-to" / "joblib.html").exists()
    assert "GridSearchCV" in (tmp_path / "how-to" / "joblib.html").read_text()
