"""The demo end to end on a small scale: real probes, real workers, real kills; and the pure parts of it."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dnaml.core.protocols import Run
from dnaml.core.resource import Resource
from dnaml.demo import collect, compare, learn
from dnaml.demo.kernels import KERNELS
from dnaml.demo.main import Scale, run
from dnaml.predict.runtime import RuntimePredictor
from tests.predict.brief import brief_trainings
from tests.predict.worlds import world

SMALL = tuple(KERNELS[name] for name in ("hash_sha256", "train_mlp"))


@pytest.mark.timeout(900)
def test_the_demo_runs_to_its_end_on_a_small_scale(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scale = Scale(kernels=SMALL, members=3, repeats=1, folds=2, per_kernel=1)
    with brief_trainings():
        assert run(seed=3, out=tmp_path / "report", json=True, scale=scale) == 0
    told = json.loads(capsys.readouterr().out)
    assert set(told) >= {"resources", "prediction", "policies", "failover"}
    assert set(told["policies"]) == set(compare.PRESETS)
    for rows in told["policies"].values():
        assert set(rows) == {
            "dnaml", "oracle", "seed_matcher", "random", "round_robin", "cheapest", "highest_clock"
        }  # fmt: skip
        assert all(row["objective"] > 0 and row["cost_usd"] > 0 for row in rows.values())
    assert told["failover"]["lost"] == 0
    assert told["failover"]["duplicated"] == 0
    assert told["failover"]["detect_s"] < 5
    assert 0 < told["prediction"]["cover80"] <= 100
    assert told["prediction"]["zero_shot"]["runs"] > 0
    assert told["prediction"]["zero_shot"]["mdape"] > 0
    assert (tmp_path / "report" / "index.html").stat().st_size > 10_000
    assert len(pd.read_parquet(tmp_path / "report" / "runs.parquet")) >= len(SMALL) * 3 * 3 * 1


def test_held_back_cells_are_a_third_and_leave_every_computation_two_resources() -> None:
    resources = [Resource(id=f"r{i}") for i in range(5)]
    cells = collect.cells_of(tuple(KERNELS.values()), resources)
    held = collect.hold_back(cells, 1 / 3, seed=1)
    assert len(held) == round(len(cells) / 3)
    left = {(cell.kernel, cell.size): 5 for cell in cells}
    for cell in held:
        left[cell.kernel, cell.size] -= 1
    assert min(left.values()) >= 2
    assert held == collect.hold_back(cells, 1 / 3, seed=1)
    assert held != collect.hold_back(cells, 1 / 3, seed=2)


def test_a_batch_holds_every_kernel_equally_often_and_follows_its_seed() -> None:
    kernels = tuple(KERNELS.values())
    batch = compare.draw_batch(kernels, per_kernel=4, seed=5)
    counts = {kernel.name: sum(item.kernel == kernel.name for item in batch) for kernel in kernels}
    assert set(counts.values()) == {4}
    assert len(batch) >= 60
    assert batch == compare.draw_batch(kernels, per_kernel=4, seed=5)
    assert batch != compare.draw_batch(kernels, per_kernel=4, seed=6)


def test_quality_counts_what_lies_between_the_tenth_and_the_ninetieth_percentile() -> None:
    truth = np.array([1.0, 2.0, 4.0, 10.0])
    levels = np.array([0.5, 0.8, 0.9, 1.0, 1.1, 1.2, 1.5])
    quality = learn.quality_of(truth, np.array([1.0, 2.0, 4.0, 5.0])[:, None] * levels[None, :])
    assert quality.cover80 == pytest.approx(75.0)
    assert quality.mdape == pytest.approx(0.0)
    assert quality.runs == 4


def test_a_resource_left_out_is_foretold_by_a_model_that_saw_no_run_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    simulated = world(2, kernels=4, resources=4)
    learnt_from: list[set[str]] = []
    fit = learn.fit

    def watched(runs: list[Run], *, seed: int) -> RuntimePredictor:
        learnt_from.append({run.resource.id for run in runs})
        return fit(runs, seed=seed)

    monkeypatch.setattr(learn, "fit", watched)
    quality = learn.zero_shot(simulated.runs, "r1", seed=0)
    assert learnt_from == [{"r0", "r2", "r3"}]
    assert quality.runs == sum(run.resource.id == "r1" for run in simulated.runs)
    assert np.isfinite([quality.mdape, quality.cover80, quality.spearman]).all()


def test_no_more_folds_are_fitted_than_are_judged() -> None:
    simulated = world(2, kernels=2, resources=3, repeats=1)
    folds = list(learn.folds_of(simulated.runs, 4, judged=1, seed=0))
    assert len(folds) == 1
    assert len(folds[0][0]) == pytest.approx(len(simulated.runs) / 4, abs=1)
