"""The one door to MLflow: trainings as runs of one experiment, model folders as registered versions, `models:/` names.

A model is logged as the folder that it is, never through a flavour that pickles. The store is `$MLFLOW_TRACKING_URI`
where that is set, else an SQLite file in the state folder, with the artifacts beside it.
"""

import contextlib
import fcntl
import logging
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from dnaml.core.errors import InputError, NotFoundError

EXPERIMENT = "dnaml"
SCHEME = "models:/"
LATEST = "latest"  # MLflow keeps this word for the newest version; no alias can be named so
MODEL = "model"  # the model folder among a run's artifacts
MOST_PARAMS = 100  # of one batch, as MLflow limits it
MOST_METRICS = 1000
LONGEST_PARAM = 500

_ADDRESS = re.compile(r"models:/(?P<name>[^/@]+)[/@](?P<which>[^/@]+)")

# mlflow ships no types that strict checking could use
Client = Any
Version = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """Where MLflow keeps runs and models; `artifacts` is where files go, None where the server decides."""

    uri: str
    artifacts: Path | None = None

    @property
    def database(self) -> Path | None:
        """Return the SQLite file of the store, None for any other kind of store."""
        return Path(self.uri.removeprefix("sqlite:///")) if self.uri.startswith("sqlite:///") else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What is kept of one training: `name` of the registered model, its folder, and files by their name in the run."""

    name: str
    folder: Path
    params: Mapping[str, object] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)
    alias: str | None = None

    def __post_init__(self) -> None:
        """Raise InputError on a name or alias that could not be an address."""
        for what, word in (("name", self.name), ("alias", self.alias or "none")):
            if not re.fullmatch(r"[\w.-]+", word):
                raise InputError(f"model {what} must be of letters, digits, '.', '_' and '-', got {word!r}")
        if self.alias is not None and (self.alias.lower() == LATEST or re.fullmatch(r"v?\d+", self.alias)):
            raise InputError(f"model alias must be neither {LATEST!r}, the newest version, nor one, got {self.alias!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """One registered version of a model, and the run that made it."""

    name: str
    version: str
    run_id: str

    @property
    def address(self) -> str:
        """Return the address by which this very version is loaded."""
        return f"{SCHEME}{self.name}/{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """One registered version with what its training logged; `aliases` are the names by which it is asked for too."""

    name: str
    version: str
    run_id: str
    created_at_s: float
    aliases: tuple[str, ...]
    params: Mapping[str, str]
    metrics: Mapping[str, float]


def store_of(state: Path | None = None) -> Store:
    """Return the store in use: `$MLFLOW_TRACKING_URI`, else that of a state folder (default: the user's)."""
    named = os.environ.get("MLFLOW_TRACKING_URI")
    if named:
        return store_at(named)
    folder = (state or _default_state()).expanduser().absolute()
    return Store(uri=f"sqlite:///{folder / 'mlflow.sqlite'}", artifacts=folder / "mlflow-artifacts")


def store_at(uri: str) -> Store:
    """Return the store of an MLflow URI; the artifacts of an SQLite file lie beside it."""
    store = Store(uri=uri)
    return store if store.database is None else Store(uri=uri, artifacts=_beside(store.database))


def log_training(training: Training, *, store: Store | None = None) -> Registered:
    """Log a training as a run, and register its model folder as the newest version of its name.

    About 2 s of CPU time, and 2 s more for the first in a store. Raises InputError for a folder without a manifest.
    """
    if not (training.folder / "manifest.json").is_file():
        raise InputError(f"{training.folder}: must be a model folder with a manifest.json, got none")
    store = store or store_of()
    with _client(store) as client:
        run_id = client.create_run(
            _experiment(client, store), tags=dict(training.tags), run_name=training.name
        ).info.run_id
        try:
            _log(client, run_id, training)
            version = _register(client, run_id, training)
        except BaseException:
            client.set_terminated(run_id, status="FAILED")
            raise
        client.set_terminated(run_id)
    return Registered(name=training.name, version=str(version.version), run_id=run_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What one MLflow run is to hold: `metrics` are (name, value, Unix milliseconds, step), `parent` a run's id."""

    name: str
    tags: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, object] = field(default_factory=dict)
    metrics: Sequence[tuple[str, float, int, int]] = ()
    files: Mapping[str, Path] = field(default_factory=dict)
    parent: str | None = None
    failed: bool = False
    ended: bool = True


def write_pages(pages: Sequence[Page], *, store: Store, run_id: str | None = None) -> list[str]:
    """Write runs that are no trainings, in batches, and return their ids; with `run_id`, the first goes on that run.

    About 50 ms of CPU time each in an SQLite store. Raises ConnectionError or InputError where the store refuses.
    """
    found: list[str] = []
    with _client(store) as client:
        experiment = _experiment(client, store)
        for page in pages:
            known = run_id if run_id is not None and not found else None
            parent = {"mlflow.parentRunId": page.parent} if page.parent else {}
            tags = {**page.tags, **parent}
            page_id = known or client.create_run(experiment, tags=tags, run_name=page.name).info.run_id
            _fill(client, page_id, page, tags if known else {})
            found.append(page_id)
    return found


def page_of(tag: str, value: str, *, store: Store) -> str | None:
    """Return the id of the run that carries a tag of that value, None where there is none."""
    with _client(store) as client:
        runs = client.search_runs([_experiment(client, store)], f"tags.`{tag}` = '{value}'", max_results=1)
        return str(runs[0].info.run_id) if runs else None


def active_run() -> str | None:
    """Return the id of the run that the user has open in this thread, None where there is none or MLflow is unused."""
    if "mlflow" not in sys.modules:
        return None
    import mlflow

    run = mlflow.active_run() if hasattr(mlflow, "active_run") else None
    return None if run is None else str(run.info.run_id)


def model_folder(address: str, *, store: Store | None = None) -> Path:
    """Return the local folder of a registered model: `models:/NAME/VERSION`, an alias, or `latest` for the newest.

    Raises InputError for another form, NotFoundError naming what there is. The folder is not checked here: whoever
    loads it checks its manifest.
    """
    found = _ADDRESS.fullmatch(address)
    if found is None:
        raise InputError(f"a model's address must be models:/NAME/VERSION or models:/NAME/ALIAS, got {address!r}")
    name, which = unquote(found["name"]), unquote(found["which"])
    store = store or store_of()
    if store.database is not None and not store.database.is_file():
        raise NotFoundError(f"no model {name!r}: nothing was ever trained into {store.database}")
    with _client(store) as client:
        return _local(client, _version(client, name, which))


def models(*, store: Store | None = None) -> dict[str, tuple[str, ...]]:
    """Return the versions of every registered model, newest first; none where nothing was ever logged."""
    store = store or store_of()
    if store.database is not None and not store.database.is_file():
        return {}
    with _client(store) as client:
        return {name: _versions(client, name) for name in _names(client)}


def described(*, store: Store | None = None, most: int = 20) -> tuple[Described, ...]:
    """Return the newest versions of every registered model with what their trainings logged, newest first.

    At most so many of each; none where nothing was ever logged. About 10 ms of CPU time each in an SQLite store.
    """
    store = store or store_of()
    if store.database is not None and not store.database.is_file():
        return ()
    with _client(store) as client:
        found = [one for name in _names(client) for one in _described(client, name, most)]
    return tuple(sorted(found, key=lambda one: -one.created_at_s))


def _described(client: Client, name: str, most: int) -> Iterator[Described]:
    aliases = dict(client.get_registered_model(name).aliases)
    for number in _versions(client, name)[:most]:
        version = client.get_model_version(name, number)
        run = client.get_run(version.run_id)
        yield Described(
            name=name,
            version=number,
            run_id=str(version.run_id),
            created_at_s=version.creation_timestamp / 1000.0,
            aliases=tuple(sorted(alias for alias, which in aliases.items() if str(which) == number)),
            params=dict(run.data.params),
            metrics=dict(run.data.metrics),
        )


def _default_state() -> Path:
    """Return the state folder as `dnaml.datasets.state` does, which stands above this module."""
    named = os.environ.get("DNAML_STATE")
    return Path(named) if named else Path.home() / ".local" / "state" / "dnaml"


def _beside(database: Path) -> Path:
    return database.absolute().parent / "mlflow-artifacts"


def prepare(store: Store) -> None:
    """Make sure that an SQLite store is there, whole; two processes that make one at once would leave half a schema.

    A new one is made under another name and takes its own when it is complete, so that neither a reader nor whoever
    comes after a kill meets a part of it.
    """
    database = store.database
    if database is None or database.is_file():
        return
    from mlflow.tracking import MlflowClient

    database.parent.mkdir(parents=True, exist_ok=True)
    with database.with_name(f".{database.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not database.is_file():
            fresh = database.with_name(f".{database.name}.new")
            fresh.unlink(missing_ok=True)
            MlflowClient(tracking_uri=f"sqlite:///{fresh}")
            fresh.replace(database)


@contextlib.contextmanager
def _client(store: Store) -> Iterator[Client]:
    """Yield a client of a store; errors of MLflow become ours, and the log of its schema's making stays unsaid."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    loud = [logging.getLogger(name) for name in ("alembic", "mlflow")]
    before = [logger.level for logger in loud]
    for logger in loud:
        logger.setLevel(logging.WARNING)
    try:
        prepare(store)
        yield MlflowClient(tracking_uri=store.uri, registry_uri=store.uri)
    except MlflowException as error:
        first = str(error).strip().splitlines()[0]
        if store.uri.startswith(("http:", "https:")) and "API request" in first:
            raise ConnectionError(f"{store.uri}: {first}") from error
        raise InputError(f"{store.uri}: MLflow refused: {first}") from error
    finally:
        for logger, level in zip(loud, before, strict=True):
            logger.setLevel(level)


def _experiment(client: Client, store: Store) -> str:
    found = client.get_experiment_by_name(EXPERIMENT)
    if found is not None:
        return str(found.experiment_id)
    place = None if store.artifacts is None else store.artifacts.as_uri()
    return str(client.create_experiment(EXPERIMENT, artifact_location=place))


def _log(client: Client, run_id: str, training: Training) -> None:
    from time import time

    from mlflow.entities import Metric, Param

    at_ms = int(time() * 1000)
    params = [Param(key, str(value)[:LONGEST_PARAM]) for key, value in training.params.items()]
    metrics = [Metric(key, float(value), at_ms, 0) for key, value in training.metrics.items()]
    for at in range(0, max(len(params), len(metrics)), MOST_PARAMS):
        client.log_batch(run_id, params=params[at : at + MOST_PARAMS], metrics=metrics[at : at + MOST_PARAMS])
    client.log_artifacts(run_id, str(training.folder), MODEL)
    for name, file in training.files.items():
        client.log_artifact(run_id, str(file), str(Path(name).parent) if "/" in name else None)


def _fill(client: Client, run_id: str, page: Page, tags: Mapping[str, str]) -> None:
    from mlflow.entities import Metric, Param, RunTag

    if tags:
        client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])
    params = [Param(key, str(value)[:LONGEST_PARAM]) for key, value in page.params.items()]
    metrics = [Metric(key, float(value), at_ms, step) for key, value, at_ms, step in page.metrics]
    for at in range(0, len(params), MOST_PARAMS):
        client.log_batch(run_id, params=params[at : at + MOST_PARAMS])
    for at in range(0, len(metrics), MOST_METRICS):
        client.log_batch(run_id, metrics=metrics[at : at + MOST_METRICS])
    for name, file in page.files.items():
        client.log_artifact(run_id, str(file), str(Path(name).parent) if "/" in name else None)
    if page.ended:
        client.set_terminated(run_id, status="FAILED" if page.failed else "FINISHED")


def _register(client: Client, run_id: str, training: Training) -> Version:
    if training.name not in _names(client):
        client.create_registered_model(training.name)
    source = f"{client.get_run(run_id).info.artifact_uri}/{MODEL}"
    version = client.create_model_version(training.name, source=source, run_id=run_id)
    if training.alias is not None:
        client.set_registered_model_alias(training.name, training.alias, version.version)
    return version


def _names(client: Client) -> list[str]:
    return sorted(model.name for model in client.search_registered_models())


def _versions(client: Client, name: str) -> tuple[str, ...]:
    found = [int(one.version) for one in client.search_model_versions(f"name='{name}'")]
    return tuple(str(number) for number in sorted(found, reverse=True))


def _version(client: Client, name: str, which: str) -> Version:
    if name not in _names(client):
        raise NotFoundError(f"no model {name!r}; there are {', '.join(_names(client)) or 'none'}")
    versions, aliases = _versions(client, name), dict(client.get_registered_model(name).aliases)
    if which == LATEST and versions:
        which = versions[0]
    number = str(aliases.get(which, which))
    if number not in versions:
        known = ", ".join([*versions, *sorted(aliases), *([LATEST] if versions else [])])
        raise NotFoundError(f"model {name!r} has no version or alias {which!r}; there are {known or 'none'}")
    return client.get_model_version(name, number)


def _local(client: Client, version: Version) -> Path:
    """Return where the files of a version lie here; those of a remote store are fetched into a temporary folder."""
    source = urlsplit(client.get_model_version_download_uri(version.name, version.version))
    if source.scheme in ("", "file"):
        return Path(unquote(source.path))
    return Path(client.download_artifacts(version.run_id, MODEL))
