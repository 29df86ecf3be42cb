"""A real service adds up what its pages about learning show, by tenant, and finds it again after a restart."""

from pathlib import Path
from typing import Any

import pytest

from dnaml.core.resource import Resource, Site
from dnaml.predict.guarded import Guarded
from dnaml.rest.insight import Insight, Kept
from tests.rest.conftest import Client, settings_of

JOBS = 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder on which a service ran some jobs of two tenants and ended."""
    made = tmp_path_factory.mktemp("insight")
    client = Client(settings_of(made, token_required=False))
    try:
        for _ in range(JOBS):
            client.ended(client.submit("say", "x", 0.05))
        client.ended(client.submit("fail", "on purpose"))
        service = client.service
        body = {"computation": "tests.rest.work:double", "args": [2]}
        (other,) = service.submit([body], tenant="theirs", key=None, raw=b"")
        while service.job("theirs", other).ended_at_s is None:
            client.get("/jobs?limit=1")
        before = _told(Insight(service, "local"))
        assert before["runs"] == JOBS
        made.joinpath("told").write_text(repr(before))
    finally:
        client.close()
    return made


@pytest.fixture(scope="module")
def again(folder: Path) -> Any:
    """The service, started once more on the same folder."""
    client = Client(settings_of(folder, token_required=False))
    yield client.service
    client.close()


def _told(insight: Insight) -> dict[str, Any]:
    trust, spending = insight.trust(), insight.spending()
    return {
        "runs": trust.runs,
        "levels": [(one.stated, one.met) for one in trust.levels],
        "answered": sum(trust.paths.values()),
        "kernels": [(one.name, one.runs, round(one.ratio, 6)) for one in trust.kernels],
        "attempts": spending.attempts,
        "usd": round(spending.usd, 12),
    }


def test_a_restart_finds_again_what_was_judged_and_spent(folder, again):
    assert repr(_told(Insight(again, "local"))) == folder.joinpath("told").read_text()


def test_runs_decisions_and_costs_are_those_of_ones_own_jobs(again):
    told = _told(Insight(again, "local"))
    assert (told["runs"], told["answered"], told["attempts"]) == (JOBS, JOBS + 1, JOBS + 1)  # one of them failed
    assert told["usd"] > 0
    theirs = _told(Insight(again, "theirs"))
    assert (theirs["runs"], theirs["attempts"]) == (1, 1)
    assert "double" in theirs["kernels"][0][0]
    assert _told(Insight(again, "nobody"))["attempts"] == 0


def test_demand_counts_every_job_where_it_was_submitted(again):
    shown = Insight(again, "local").demand()
    assert sum(float(one.sum()) for one in shown.demand.jobs.values()) == JOBS + 1
    assert float(shown.demand.total().sum()) == pytest.approx(
        sum(one.runtime_s for one in Insight(again, "local").spending().resources)
    )
    assert set(shown.expected) >= {"all"}
    assert shown.scaling is None
    assert Insight(again, "nobody").demand().demand.bins == 0


def test_nothing_waits_once_everything_ended(again):
    assert again.live.observed.waiting(again.engine.now_s()) == (0, 0.0)


def test_drift_tells_of_resources_and_of_ones_own_computations(again):
    drift = Insight(again, "local").drift()
    assert drift.health.is_good
    assert drift.predictor == again.engine.controller.predictor.version
    assert isinstance(again.engine.controller.predictor, Guarded)
    own = again.live.jobs_of("local").computations
    assert all(one.subject.value == "resource" or one.id in own for one in drift.watched)


def test_the_map_has_the_pool_and_marks_what_ran_ones_work(again):
    again.declare([Resource(id="far", site=Site.CLOUD, price_usd_per_h=3.0, spec={"cores": 64.0})])
    plane = Insight(again, "local").plane()
    assert {one.name: one.used for one in plane.resources} == {"here": True, "far": False}


def test_an_empty_registry_is_told_without_loading_what_reads_it(again):
    now = Insight(again, "local").registry()
    assert (list(now.versions), now.training) == ([], None)
    assert now.predictor == again.engine.controller.predictor.version


def test_a_value_is_kept_until_its_key_changes():
    made: list[int] = []
    kept: Kept[int] = Kept()

    def make() -> int:
        made.append(1)
        return len(made)

    assert [kept.get(key, make) for key in ("a", "a", "b")] == [1, 1, 2]
    slow: Kept[int] = Kept(least_s=1e9)
    assert [slow.get(key, make) for key in ("a", "b")] == [3, 3]
