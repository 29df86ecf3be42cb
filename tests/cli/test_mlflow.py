"""`dnaml mlflow ui` runs MLflow on the store in use, and names the extra where its pages are missing."""

import json

from dnaml.cli.main import main


def test_the_command_names_the_store_of_the_state_folder(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr("dnaml.cli.mlflow.find_spec", lambda name: object())
    assert main(["--state", str(tmp_path), "mlflow", "ui", "--port", "5055", "--dry-run", "--json"]) == 0
    command = json.loads(capsys.readouterr().out)["command"]
    assert command[command.index("--backend-store-uri") + 1] == f"sqlite:///{tmp_path / 'mlflow.sqlite'}"
    assert command[command.index("--port") + 1] == "5055"


def test_the_missing_extra_is_named(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr("dnaml.cli.mlflow.find_spec", lambda name: None)
    assert main(["--state", str(tmp_path), "mlflow", "ui"]) == 2
    assert "dnaml[mlflow-ui]" in capsys.readouterr().err


def test_a_server_has_pages_of_its_own(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert main(["--state", str(tmp_path), "mlflow", "ui"]) == 0
    assert "http://127.0.0.1:9" in capsys.readouterr().out
