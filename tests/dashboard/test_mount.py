"""The extra `dashboard` is needed where pages are served, and nowhere else."""

import subprocess
import sys

import pytest
from fastapi import FastAPI

from dnaml.core.errors import MissingExtra
from dnaml.dashboard.mount import mount


def test_without_nicegui_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nicegui", None)
    with pytest.raises(MissingExtra, match=r"dnaml\[dashboard\]"):
        mount(FastAPI(), lambda request: None)  # type: ignore[arg-type, return-value]


def test_a_service_without_nicegui_says_so_and_serves_all_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from dnaml.rest import run
    from dnaml.rest.settings import ServiceSettings

    monkeypatch.setitem(sys.modules, "nicegui", None)
    said: list[str] = []
    served: list[FastAPI] = []

    def at_once(app: FastAPI, settings: object, listening: object, *, tls: object, ready: object) -> None:
        served.append(app)
        ready()  # type: ignore[operator]
        listening.close()  # type: ignore[attr-defined]

    monkeypatch.setattr(run, "serve", at_once)  # the socket and the engine are tested elsewhere
    monkeypatch.setattr(run, "install_logs", lambda: None)
    run.run_service(ServiceSettings(state=tmp_path_factory.mktemp("bare"), port=0), say=said.append)
    assert "there is no page: the web page needs NiceGUI: pip install 'dnaml[dashboard]'" in said[0]
    assert not [route for route in served[0].routes if getattr(route, "path", "") == "/ui"]


def test_charts_and_tables_are_made_without_nicegui() -> None:
    code = "import sys, dnaml.dashboard.views as v; assert len(v.VIEWS) > 5; sys.exit('nicegui' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
