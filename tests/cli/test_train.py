"""`dnaml train` and `dnaml evaluate`: a table becomes a registered model, which answers for tables; bad input is 2."""

import json
from pathlib import Path

import pandas as pd
import pytest

from dnaml import tracking
from dnaml.cli.main import main
from dnaml.predict.runtime import RuntimePredictor
from tests.predict.brief import brief_trainings

pytestmark = pytest.mark.timeout(600)  # many fits: seconds alone, minutes on a busy machine
WORK, SPEEDS = (1.0, 3.0, 9.0, 20.0), (1.0, 1.5, 2.0, 3.0, 5.0, 8.0)
QUICK = ("--held", "resource", "--folds", "2")


def write_table(path: Path, **extra) -> Path:
    rows = [
        {
            "resource_id": f"r{r}",
            "computation_id": f"k{k}",
            "c_kernel": f"k{k}",
            "r_rate_per_s": speed,
            "t_faults": 2.0,
            "runtime_s": work / speed,
        }
        | extra
        for r, speed in enumerate(SPEEDS)
        for k, work in enumerate(WORK)
    ]
    pd.DataFrame(rows).to_parquet(path)
    return path


@pytest.fixture(autouse=True, scope="module")
def brief():
    """What is asked of the verbs is what they write and say, not how good the model is."""
    with brief_trainings():
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("trained")


@pytest.fixture(autouse=True)
def _state(folder, monkeypatch):
    monkeypatch.setenv("DNAML_STATE", str(folder / "state"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="module")
def table(folder):
    return write_table(folder / "runs.parquet")


def answer(capsys, *arguments):
    code = main([*arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


@pytest.fixture(scope="module")
def trained(folder, table):
    """Train once through the command line."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DNAML_STATE", str(folder / "state"))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        assert main(["train", str(table), "--out", str(folder / "model"), "--alias", "good", *QUICK, "-q"]) == 0
    return folder / "model"


def test_a_trained_model_is_in_its_folder_and_in_the_registry(trained, folder):
    store = tracking.store_of(folder / "state")
    for which in ("latest", "good", "1"):
        kept = tracking.model_folder(f"models:/dnaml/{which}", store=store)
        assert (kept / "manifest.json").read_bytes() == (trained / "manifest.json").read_bytes()


def test_the_run_holds_params_data_card_scores_and_pictures(trained, folder):
    from mlflow.tracking import MlflowClient

    uri = tracking.store_of(folder / "state").uri
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    run = client.get_run(client.get_model_version("dnaml", "1").run_id)
    assert run.data.params["seed"] == "0"
    assert run.data.params["data.rows"] == "24"
    assert run.data.metrics["resource.k0.dnaml.mape_pct"] > 0
    assert run.data.metrics["resource.k3.mean.spearman"] > 0
    names = {one.path for one in client.list_artifacts(run.info.run_id)}
    assert {"data_card.json", "scores.json", "calibration.svg", "scatter.svg", "model"} <= names


def test_without_judging_nothing_but_the_model_is_made(table, folder, capsys):
    code, found = answer(
        capsys, "train", str(table), "--out", str(folder / "bare"), "--no-track", "--folds", "0", "--seed", "3"
    )
    assert code == 0
    assert found["scores"] == []
    assert found["address"] is None
    assert found["data"]["rows"] == 24
    assert RuntimePredictor.load(folder / "bare").seed == 3


def test_rows_that_cannot_be_true_are_counted(folder, capsys):
    path = folder / "bad.csv"
    frame = pd.read_parquet(write_table(folder / "good.parquet"))
    frame.loc[0, "runtime_s"] = -1.0
    frame.to_csv(path, index=False)
    code, found = answer(capsys, "train", str(path), "--out", str(folder / "b"), "--no-track", "--folds", "0")
    assert code == 0
    assert found["set_aside"] == {"runtime_s is negative": 1}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("train",), "either a TABLE or --from-state"),
        (("train", "TABLE", "--from-state"), "not both"),
        (("train", "TABLE", "--no-track"), "--no-track needs --out"),
        (("train", "no-such.parquet"), "must be a file"),
        (("train", "TABLE", "--name", "a/b", "--folds", "0"), "model name"),
        (("train", "--from-state", "--state", "nowhere"), "holds no runs yet"),
        (("evaluate", "TABLE", "--model", "no-such-folder"), "manifest.json"),
        (("evaluate", "TABLE", "--model", "shipped", "--probes", "1"), "leave --held and --probes out"),
        (("evaluate", "TABLE", "--held", "nothing"), "nothing"),
        (("evaluate", "TABLE", "--model", "models:/other/1"), "no model 'other'; there are dnaml"),
        (("evaluate", "TABLE", "--held", "later"), "nothing could be judged"),
    ],
)
def test_bad_input_is_named_and_is_exit_code_2(arguments, said, table, trained, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([str(table) if word == "TABLE" else word for word in arguments]) == 2
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_an_empty_table_is_bad_input(tmp_path, capsys):
    path = write_table(tmp_path / "none.parquet", runtime_s=float("nan"))
    assert main(["train", str(path)]) == 2
    assert "holds no run to learn from" in capsys.readouterr().err


@pytest.mark.parametrize("address", ["models:/dnaml/latest", "models:/dnaml/good", "FOLDER"])
def test_a_saved_model_is_asked_about_a_whole_table(address, table, trained, capsys):
    code, found = answer(capsys, "evaluate", str(table), "--model", str(trained) if address == "FOLDER" else address)
    assert code == 0
    assert sum(one["runs"] for one in found["scores"]) == 24
    assert all(one["mape_pct"] < 50 for one in found["scores"])


def test_predictors_are_fitted_on_parts_of_a_table_and_compared(table, capsys):
    code = main(["evaluate", str(table), *QUICK, "--probes", "0", "--json", "-q"])
    found = json.loads(capsys.readouterr().out)
    assert code == 0
    assert {one["estimator"] for one in found["scores"]} == {"dnaml", "mean", "scaling", "neighbours", "boosting"}
    assert {(one["held"], one["probes"], one["runs"]) for one in found["scores"]} == {("resource", 0, 24)}


def test_people_get_a_table_and_a_note_of_what_could_not_be_judged(table, capsys):
    assert main(["evaluate", str(table), "--held", "cell", "--held", "later", "--folds", "2"]) == 0
    shown = capsys.readouterr()
    assert "MAPE %" in shown.out
    assert "not judged: holding back the newest runs needs" in shown.err


def test_the_runs_of_a_state_folder_are_learned_from(tmp_path, capsys):
    import dnaml

    with dnaml.Executor(state=tmp_path / "state", resources=[dnaml.Resource(id="here")]) as executor:
        assert [executor.submit(pow, 2, n).result() for n in range(3)] == [1, 2, 4]
    code, found = answer(
        capsys, "train", "--from-state", "--state", str(tmp_path / "state"), "--no-track", "--out", str(tmp_path / "m")
    )
    assert code == 0
    assert found["data"]["rows"] == 3
    assert found["data"]["resources"] == 1
