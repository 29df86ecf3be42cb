"""What the README shows works as written: its Python runs, its job file is accepted, its commands and links exist."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
DOCS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def run(folder, *command):
    environment = {**os.environ, "DNAML_STATE": str(folder / "state")}
    return subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_there_are_examples_to_run():
    assert len(blocks("python")) == 2
    assert len(blocks("yaml")) == 1


@pytest.mark.parametrize("number", range(len(blocks("python"))))
def test_the_python_of_the_readme_runs_as_written(tmp_path, number):
    script = tmp_path / "example.py"
    script.write_text(blocks("python")[number])
    done = run(tmp_path, str(script))
    assert done.returncode == 0, done.stderr
    assert ("669" in done.stdout) if number == 0 else ("2.718" in done.stdout and "SUCCEEDED" in done.stdout)


def test_the_first_example_is_ten_lines_long():
    assert len(blocks("python")[0].splitlines()) == 10


def test_the_job_file_of_the_readme_is_accepted(tmp_path):
    (tmp_path / "dnaml.yaml").write_text(blocks("yaml")[0])
    (tmp_path / "train.py").touch()
    pool = tmp_path / "pool.toml"
    pool.write_text('[resources.here]\nkind = "cpu"\nmemory = "8GB"\n')  # declared, so that no probe runs
    assert run(tmp_path, "-m", "dnaml", "resources", "add", str(pool)).returncode == 0
    done = run(tmp_path, "-m", "dnaml", "submit", "dnaml.yaml", "--dry-run", "--json")
    assert done.returncode == 0, done.stderr


def test_every_verb_of_the_readme_exists(tmp_path):
    named = set(re.findall(r"`dnaml ([a-z]+)", README))
    told = run(tmp_path, "-m", "dnaml", "--help").stdout
    assert len(named) >= 12
    assert not [verb for verb in named if not re.search(rf"^│ {verb} ", told, re.MULTILINE)]


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_to_a_file(page):
    links = re.findall(r"\]\(([^)#:\s]+)\)", page.read_text())
    assert not [link for link in links if not (page.parent / link).exists()]
