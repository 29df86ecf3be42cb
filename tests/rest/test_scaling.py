"""A service that scales: its forecast shows the numbers that the engine acts on; machines come to its pool and go."""

import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from dnaml.core.errors import InputError
from dnaml.core.resource import Resource
from dnaml.rest.settings import ServiceSettings
from dnaml.scaling import Scaling
from tests.rest.conftest import WORK, Client

PATIENCE_S = 60.0


def until(found: Callable[[], object]) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not found():
        assert time.monotonic() < end_s
        time.sleep(0.01)


def test_the_forecast_shows_the_numbers_that_the_engine_acts_on(tmp_path: Path):
    small = Resource(id="small", price_usd_per_h=0.1, startup_s=0.2, domain="made")
    plan = Scaling(machines=(small,), bin_s=0.2, every_s=0.02, probes=False, trained=False, wait_target_s=0.2)
    settings = ServiceSettings(state=tmp_path, root=tmp_path, allow=(WORK,), resources=(), scaling=plan)
    api = Client(settings)
    try:
        assert api.get("/forecast").json()["scaling"]["template"] == "small"
        view = api.ended(api.submit("double", 21))
        assert view["state"] == "SUCCEEDED"
        shown = {"template", "levels", "demand", "level", "wanted", "machines", "coming", "spent_usd", "decisions"}
        until(lambda: api.service.scaling.told().decisions[-1].what == "release" and not api.service.pool())
        api.service.scaling._stop.set()
        api.service.scaling._thread.join()
        acted_on = msgspec.json.decode(msgspec.json.encode(api.service.scaling.told()))
        told = api.get("/forecast").json()["scaling"]
        assert shown <= set(told)
        assert told == acted_on
        assert told["decisions"][0]["what"] == "acquire"
        assert told["spent_usd"] > 0
    finally:
        api.close()


def test_a_plan_that_cannot_be_kept_ends_the_start(tmp_path: Path):
    path = tmp_path / "scaling.toml"
    path.write_text("bin_s = 1\n")
    with pytest.raises(InputError, match="no machine to acquire"):
        Client(ServiceSettings(state=tmp_path, root=tmp_path, scaling=path))


def test_where_notices_appear_is_not_taken_over_rest(api: Client):
    body = {"id": "spy", "labels": {"dnaml.notice": "gce:/etc/passwd"}}
    answer = api.post("/resources", body)
    assert answer.status_code == 422, answer.text
    assert "dnaml.notice is not taken over REST" in answer.text
