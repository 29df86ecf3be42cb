"""B9, B10: a model folder that lacks a file, is cut, flipped or of another schema is refused, and decisions go on."""

import json
import shutil
from pathlib import Path

import numpy as np

from benchmarks.faults.outcome import Bar, Outcome, Tier
from benchmarks.faults.predictor_case import POOL, WORK, taught
from dnaml.datasets.shipped import model_folder
from dnaml.predict.ladder import Ladder, Rung
from dnaml.predict.placing import LivePredictor
from dnaml.predict.runtime import RuntimePredictor

ID = "B9"
RUNS = {Tier.QUICK: 16, Tier.SOAK: 1_000}
FILES = ("manifest.json", "config.json", "weights.safetensors")
WAYS = ("missing", "cut", "flipped", "other schema")


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Damage a copy of the shipped model in one way after the other, and decide with what is left."""
    rng, pristine = np.random.default_rng(seed), folder / "pristine"
    shutil.copytree(model_folder(), pristine)
    used = undecided = 0
    for number in range(runs):
        model = folder / f"model-{number}"
        shutil.copytree(pristine, model)
        _damage(model, WAYS[number % len(WAYS)], rng)
        top = Rung.loaded("model", lambda model=model: LivePredictor(model=RuntimePredictor.load(model)))  # type: ignore[misc]
        ladder = Ladder(rungs=(top, Rung(name="dna-match", predictor=taught(), learned=False)))
        answer = ladder.predict(WORK, POOL)
        used += top.predictor is not None
        undecided += not np.isfinite(answer.runtime_s.values).all() or not answer.path
        shutil.rmtree(model)
    return Outcome(
        id=ID,
        seed=seed,
        runs=runs,
        what="model folders that lack a file, are cut, flipped or of another schema",
        figures=(
            Bar(name="damaged_models_used", value=float(used), unit="", bar=0.0),
            Bar(name="without_a_decision", value=float(undecided), unit="", bar=0.0),
        ),
    )


def _damage(model: Path, way: str, rng: np.random.Generator) -> None:
    file = model / FILES[rng.integers(len(FILES))]
    if way == "missing":
        file.unlink()
    elif way == "other schema":
        _of_another_schema(model)
    else:
        body = bytearray(file.read_bytes())
        place = int(rng.integers(len(body)))
        if way == "cut":
            del body[place:]
        else:
            body[place] ^= 1 << int(rng.integers(8))
        file.write_bytes(body)


def _of_another_schema(model: Path) -> None:
    """Raise every number in the manifest that names a version, as a later release would write it."""
    manifest = json.loads((model / "manifest.json").read_text())
    for key, value in manifest.items():
        if "schema" in key or "version" in key:
            manifest[key] = value + 1 if isinstance(value, int) else f"{value}-later"
    (model / "manifest.json").write_text(json.dumps(manifest))
