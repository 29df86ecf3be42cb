"""The registry keeps model folders as they are, and says what there is when asked for what there is not."""

import logging
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dnaml import tracking
from dnaml.core.errors import InputError, NotFoundError
from dnaml.datasets.state import default_folder
from dnaml.tracking import Store, Training, described, log_training, model_folder, models, prepare, store_of

BYTES = b'{"schema": "any"}'


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Make one store for the module: its schema takes seconds to make. Two make it at once, after one was killed."""
    folder = tmp_path_factory.mktemp("tracked")
    (folder / ".mlflow.sqlite.new").write_bytes(b"half a schema")
    made = Store(uri=f"sqlite:///{folder / 'mlflow.sqlite'}", artifacts=folder / "mlflow-artifacts")
    with ThreadPoolExecutor(2) as both:
        list(both.map(prepare, (made, made)))
    return made


@pytest.fixture
def folder(tmp_path):
    """Make something that looks like a model folder."""
    made = tmp_path / "made"
    made.mkdir()
    (made / "manifest.json").write_bytes(BYTES)
    (made / "config.json").write_text("{}")
    return made


@pytest.fixture(scope="module")
def registered(store, tmp_path_factory):
    """Register two versions of one model: the first has the alias `good`."""
    made = tmp_path_factory.mktemp("made")
    plot = made / "plot.svg"
    plot.write_text("<svg/>")
    found = []
    for number, alias in enumerate(("good", None), start=1):
        model = made / f"model-{number}"
        model.mkdir()
        (model / "manifest.json").write_text(f'{{"number": {number}}}')
        training = Training(
            name="dnaml",
            folder=model,
            params={"seed": number, "wide": "x" * 900},
            metrics={"resource.mape_pct": 12.5 * number},
            tags={"commit": "abc"},
            files={"plots/plot.svg": plot},
            alias=alias,
        )
        found.append(log_training(training, store=store))
    return found


def number_in(folder: Path) -> str:
    return (folder / "manifest.json").read_text()


def test_each_training_is_a_version_of_its_own(registered, store):
    assert [one.version for one in registered] == ["1", "2"]
    assert registered[1].address == "models:/dnaml/2"
    assert models(store=store) == {"dnaml": ("2", "1")}


def test_versions_are_described_newest_first_with_what_their_trainings_logged(registered, store):
    found = [one for one in described(store=store) if one.name == "dnaml"]
    assert [(one.version, one.aliases, one.params["seed"]) for one in found] == [("2", (), "2"), ("1", ("good",), "1")]
    assert [one.metrics for one in found] == [{"resource.mape_pct": 25.0}, {"resource.mape_pct": 12.5}]
    assert [one.run_id for one in found] == [one.run_id for one in reversed(registered)]
    assert found[0].created_at_s >= found[1].created_at_s > 1e9
    assert [one.version for one in described(store=store, most=1) if one.name == "dnaml"] == ["2"]


@pytest.mark.parametrize(
    ("address", "number"),
    [
        ("models:/dnaml/latest", 2),
        ("models:/dnaml/1", 1),
        ("models:/dnaml/2", 2),
        ("models:/dnaml/good", 1),
        ("models:/dnaml@good", 1),
    ],
)
def test_an_address_leads_to_the_files_of_its_version(registered, store, address, number):
    assert number_in(model_folder(address, store=store)) == f'{{"number": {number}}}'


def test_what_was_logged_is_in_the_run(registered, store):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=store.uri, registry_uri=store.uri)
    run = client.get_run(registered[1].run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["seed"] == "2"
    assert run.data.metrics["resource.mape_pct"] == 25.0
    assert run.data.tags["commit"] == "abc"
    assert {one.path for one in client.list_artifacts(registered[1].run_id, "plots")} == {"plots/plot.svg"}
    assert [one.path for one in client.list_artifacts(registered[1].run_id, "model")] == ["model/manifest.json"]


def test_an_unknown_model_is_named_beside_those_there_are(registered, store):
    with pytest.raises(NotFoundError, match=r"no model 'other'; there are dnaml"):
        model_folder("models:/other/1", store=store)


@pytest.mark.parametrize("which", ["3", "bad", "0"])
def test_an_unknown_version_or_alias_is_named_beside_those_there_are(registered, store, which):
    with pytest.raises(NotFoundError, match=rf"'{which}'; there are 2, 1, good, latest"):
        model_folder(f"models:/dnaml/{which}", store=store)


@pytest.mark.parametrize("address", ["models:/dnaml", "models:/", "dnaml/1", "models:/a/b/c", "runs:/x/model"])
def test_another_form_of_address_is_refused_before_anything_is_opened(address, tmp_path):
    with pytest.raises(InputError, match="models:/NAME/VERSION"):
        model_folder(address, store=Store(uri=f"sqlite:///{tmp_path / 'none.sqlite'}"))


def test_asking_makes_no_store(tmp_path):
    store = Store(uri=f"sqlite:///{tmp_path / 'none.sqlite'}")
    with pytest.raises(NotFoundError, match="nothing was ever trained"):
        model_folder("models:/dnaml/latest", store=store)
    assert models(store=store) == {}
    assert described(store=store) == ()
    assert list(tmp_path.iterdir()) == []


def test_two_that_make_a_store_at_once_leave_one_that_is_whole(store):
    assert not store.database.with_name(".mlflow.sqlite.new").exists()
    assert tracking.write_pages([tracking.Page(name="page")], store=store)


def test_a_folder_without_a_manifest_is_not_logged(tmp_path, store):
    with pytest.raises(InputError, match=r"manifest\.json"):
        log_training(Training(name="dnaml", folder=tmp_path), store=store)


@pytest.mark.parametrize("name", ["a/b", "", "a b", "a@b"])
def test_a_name_that_could_not_be_an_address_is_refused(name, tmp_path):
    with pytest.raises(InputError, match="model name"):
        Training(name=name, folder=tmp_path)


@pytest.mark.parametrize("alias", ["latest", "Latest", "3", "v3"])
def test_an_alias_that_would_hide_a_version_is_refused(alias, tmp_path):
    with pytest.raises(InputError, match="alias must be neither"):
        Training(name="dnaml", folder=tmp_path, alias=alias)


def test_a_training_that_cannot_be_registered_is_a_failed_run(folder, tmp_path, store, registered):
    from mlflow.tracking import MlflowClient

    training = Training(name="dnaml", folder=folder, files={"gone.svg": tmp_path / "gone.svg"})
    with pytest.raises(OSError, match=r"gone\.svg"):
        log_training(training, store=store)
    assert models(store=store) == {"dnaml": ("2", "1")}
    client = MlflowClient(tracking_uri=store.uri, registry_uri=store.uri)
    experiment = client.get_experiment_by_name(tracking.EXPERIMENT)
    runs = client.search_runs([experiment.experiment_id], "attributes.status = 'FAILED'")
    assert len(runs) == 1


def test_a_store_that_mlflow_refuses_is_bad_input(folder, tmp_path):
    with pytest.raises(InputError, match="MLflow refused"):
        log_training(Training(name="dnaml", folder=folder), store=Store(uri=f"nonsense://{tmp_path}"))


def test_a_server_that_does_not_answer_is_not_reachable(folder, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(ConnectionError, match=r"127\.0\.0\.1:9"):
        log_training(Training(name="dnaml", folder=folder), store=Store(uri="http://127.0.0.1:9"))


def test_the_store_is_the_one_named_else_that_of_the_state_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'own.db'}")
    assert store_of(tmp_path / "state") == Store(
        uri=f"sqlite:///{tmp_path / 'own.db'}", artifacts=tmp_path / "mlflow-artifacts"
    )
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert store_of() == Store(uri="http://127.0.0.1:5000")
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert store_of(tmp_path / "state").database == tmp_path / "state" / "mlflow.sqlite"


@pytest.mark.parametrize("named", ["~/mine", None])
def test_the_default_store_lies_in_the_default_state_folder(monkeypatch, tmp_path, named):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    if named is None:
        monkeypatch.delenv("DNAML_STATE", raising=False)
    else:
        monkeypatch.setenv("DNAML_STATE", named)
    assert store_of().database == default_folder() / "mlflow.sqlite"


def test_asking_leaves_loggers_and_the_working_folder_as_they_were(registered, store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    logging.getLogger("alembic").setLevel(logging.DEBUG)
    before = set(os.listdir())
    model_folder("models:/dnaml/latest", store=store)
    assert logging.getLogger("alembic").level == logging.DEBUG
    assert set(os.listdir()) == before
