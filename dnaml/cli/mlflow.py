"""`dnaml mlflow ui`: MLflow's own pages over the store that dnaml tracks into."""

import os
import subprocess
import sys
from importlib.util import find_spec
from typing import Annotated

import typer

from dnaml.cli.screen import Screen
from dnaml.cli.verbs import family, verb

app = family("Look at tracked runs and models.")


@app.callback()
def _family() -> None:
    """Look at tracked runs and models."""


@verb(app, "ui", example="dnaml mlflow ui --port 5000")
def ui(
    screen: Screen,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")] = 5000,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the command instead of running it.")] = False,
) -> int:
    """Serve MLflow's pages until Ctrl-C; runs, trainings and models are those of the state folder's store."""
    from dnaml import tracking
    from dnaml.core.errors import MissingExtra

    store = tracking.store_of(screen.state)
    if store.uri.startswith(("http:", "https:")):
        screen.answer({"url": store.uri}, f"the store is a server with pages of its own: {store.uri}")
        return 0
    if find_spec("mlflow.server") is None or find_spec("flask") is None:
        raise MissingExtra("MLflow's pages need the extra mlflow-ui: pip install 'dnaml[mlflow-ui]'")
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store.uri]
    command += ["--host", host, "--port", str(port)]
    if store.artifacts is not None:
        command += ["--default-artifact-root", store.artifacts.as_uri()]
    if dry_run:
        screen.answer({"command": command}, " ".join(command))
        return 0
    tracking.prepare(store)
    screen.note(f"http://{host}:{port} shows {store.uri}; Ctrl-C ends it")
    environment = {"MLFLOW_DISABLE_TELEMETRY": "true", **os.environ}
    return 1 if subprocess.run(command, env=environment, check=False).returncode else 0
