"""The wheel is whole: it installs beside nothing of the checkout, and commands, data, models and types are there."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SMOKE = """
import dnaml, sys
from pathlib import Path
from dnaml.datasets import shipped
assert Path(sys.prefix) in Path(dnaml.__file__).parents, dnaml.__file__
with dnaml.Executor(state="temporary") as executor:
    assert executor.submit(pow, 2, 10).result() == 1024
model = dnaml.RuntimePredictor.load(shipped.model_folder())
runs = dnaml.load_runs(shipped.telemetry_table())
assert len(runs) > 1000 and len(model.predict(runs.frame.head(3))) == 3
assert Path(sys.prefix) in shipped.telemetry_table().parents
"""


def done(command, folder, **variables):
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "COV_CORE_DATAFILE")}
    finished = subprocess.run(
        command, cwd=folder, env={**environment, **variables}, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, f"{command}\n{finished.stdout}\n{finished.stderr}"
    return finished.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel from a copy of what is tracked, so that no leftover of the checkout gets in."""
    folder = tmp_path_factory.mktemp("built")
    source = folder / "source"
    source.mkdir()
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode != 0:
        pytest.skip("is no checkout: what belongs to the package cannot be listed")
    for name in listed.stdout.decode().split("\0"):
        wanted = name.startswith(("dnaml/", "data/", "models/")) or name in ("pyproject.toml", "README.md", "LICENSE")
        if wanted and (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    pip = [sys.executable, "-m", "pip", "wheel", ".", "--no-deps", "--no-build-isolation", "--quiet"]
    done([*pip, "--wheel-dir", str(folder)], source)
    (built,) = folder.glob("*.whl")
    return built


@pytest.mark.slow
def test_the_wheel_holds_types_schema_data_and_models_and_no_tests(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for ending in ("dnaml/py.typed", "dnaml/jobfile/schema.json", "models/dnaml-small/manifest.json", "runs.parquet"):
        assert [name for name in names if name.endswith(ending)], ending
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/", "training/", "docs/"))]


@pytest.mark.slow
def test_the_wheel_works_in_an_environment_of_its_own(wheel, tmp_path):
    home = tmp_path / "venv"
    venv.create(home, with_pip=False)
    python = home / "bin" / "python"
    done(
        [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--quiet", str(wheel)], tmp_path
    )
    site = Path(done([str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], tmp_path).strip())
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")  # those of this run, not dnaml itself
    state = str(tmp_path / "state")
    done([str(python), "-c", SMOKE], tmp_path, DNAML_STATE=state)
    assert "submit" in done([str(home / "bin" / "dnaml"), "--help"], tmp_path)
    assert json.loads(done([str(home / "bin" / "dnaml"), "check", "--json"], tmp_path, DNAML_STATE=state))["ok"]
