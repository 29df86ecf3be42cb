"""What comes with dnaml is found, loads, and keeps its promised size."""

import pandas as pd
import pytest

from dnaml.core.errors import NotFoundError
from dnaml.datasets import shipped
from dnaml.datasets.table import load_runs
from dnaml.predict.runtime import RuntimePredictor

UNSEEN = {"resource_id": "never-seen", "computation_id": "matmul_fp64-1000", "c_kernel": "matmul_fp64"}


@pytest.fixture(scope="module")
def folder():
    try:
        return shipped.model_folder()
    except NotFoundError:
        pytest.skip("no shipped model in this checkout: `make train` makes it")


@pytest.fixture(scope="module")
def model(folder):
    return RuntimePredictor.load(folder)


@pytest.fixture(scope="module")
def frame():
    return load_runs(shipped.telemetry_table()).frame


def test_a_model_that_is_not_shipped_is_named_with_the_places_looked_at():
    with pytest.raises(NotFoundError, match=r"no shipped model 'other'.*models"):
        shipped.model_folder("other")


def test_the_shipped_telemetry_is_small_and_has_its_card():
    folder = shipped.telemetry_table().parent
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 1_000_000
    assert "## Known limits" in (folder / "CARD.md").read_text()


def test_the_shipped_model_is_small_and_has_its_card(folder):
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 3_500_000
    assert "## Held-out figures" in (folder / "CARD.md").read_text()


def test_the_shipped_telemetry_is_a_clean_run_table(frame):
    assert load_runs(shipped.telemetry_table()).reasons() == {}
    assert frame["resource_id"].nunique() >= 20
    assert frame["c_kernel"].nunique() == 18
    assert {"r_fp64_flop_per_s", "c_flop", "s_size", "t_cpu_user_s"} <= set(frame.columns)


def test_the_shipped_model_answers_for_a_machine_never_seen_by_its_probes(model, frame):
    row = frame[frame["computation_id"].str.startswith("matmul_fp64")].iloc[[0]]
    pair = row.drop(columns=["runtime_s", *(c for c in frame.columns if c.startswith("t_"))]).assign(resource_id="new")
    answer = model.predict(pair).iloc[0]
    assert answer["runtime_s_p10"] < answer["runtime_s"] < answer["runtime_s_p90"]
    assert answer["runtime_s"] == pytest.approx(float(row["runtime_s"].iloc[0]), rel=0.6)


@pytest.mark.parametrize("times", [0.5, 2.0])
def test_a_machine_faster_throughout_is_predicted_to_be_faster(model, frame, times):
    """The median over kernels moves by at least half of what physics says, in ln."""
    rates = [name for name in frame.columns if name.startswith("r_") and name.endswith(("_per_s", "_hz"))]
    pairs = frame[frame["resource_id"] == frame["resource_id"].iloc[0]].drop(columns="runtime_s")
    pairs = pairs.assign(resource_id="new").reset_index(drop=True)
    other = pairs.assign(**{name: pairs[name] * times for name in rates})
    before, after = (model.predict(one)["runtime_s"] for one in (pairs, other))
    assert (before / after).median() == pytest.approx(times, rel=0.42)


def test_nothing_but_ids_still_gets_an_answer(model):
    answer = model.predict(pd.DataFrame([UNSEEN])).iloc[0]
    assert 0 < answer["runtime_s_p10"] < answer["runtime_s_p90"] < float("inf")
